"""Kernels against their references, over sizes and seeds; and in numba's CUDA simulator."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpml_kernels.call import call, check_result, check_variant
from hpml_kernels.registry import kernels
from hpml_kernels.types import Variant
from hpml_steps.incorrect import Incorrect

VARIANTS = {
    (kernel.name, name): variant
    for kernel in kernels().values()
    for name, variant in kernel.variants.items()
}
SIMULATED = [pair for pair, one in VARIANTS.items() if one.device == "cuda" and one.simulated]


def of(kernel: str, *, ours: bool = False) -> list[str]:
    """Names of a kernel's variants on the CPU."""
    return [
        name
        for name, variant in kernels()[kernel].variants.items()
        if variant.device == "cpu" and not (ours and variant.is_peer)
    ]


def skip_without(variant: Variant) -> None:
    if reason := variant.why_not():
        pytest.skip(reason)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
@settings(max_examples=15)
@given(size=st.integers(1, 5000), seed=st.integers(0, 2**32))
def test_a_variant_gives_what_the_reference_gives(
    name: str, variant: str, size: int, seed: int
) -> None:
    skip_without(VARIANTS[name, variant])
    if VARIANTS[name, variant].own_random_numbers:
        pytest.skip("unsupported: random numbers of its own")
    kernel = kernels()[name]
    inputs = kernel.make_inputs(size, np.random.default_rng(seed))
    check_variant(kernel, variant, call(name, *inputs, variant=variant), kernel.reference(*inputs))


@pytest.mark.parametrize("variant", of("add"))
@given(
    values=st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=True, allow_infinity=True)] * 2),
        min_size=1,
        max_size=40,
    )
)
def test_addition_is_exact_over_all_floats(variant: str, values: list[tuple[float, float]]) -> None:
    """Huge, subnormal, infinite, not a number."""
    skip_without(VARIANTS["add", variant])
    x, y = np.array(values, np.float32).reshape(-1, 2).T.copy()
    with np.errstate(all="ignore"):
        result = call("add", x, y, variant=variant)
        check_result(kernels()["add"], result, x + y)


@pytest.mark.parametrize("name", kernels())
def test_a_wrong_result_is_refused(name: str) -> None:
    kernel = kernels()[name]
    inputs = kernel.make_inputs(100, np.random.default_rng(0))
    expected = kernel.reference(*inputs).astype(kernel.make_out(*inputs).dtype)
    wrong = expected.copy()
    slip = 2 * kernel.tolerance.of_largest * float(np.abs(expected).max())
    slip += (2 * kernel.tolerance.ulps + 1) * float(np.spacing(np.abs(expected.flat[-1])))
    wrong.flat[-1] += 1 if expected.dtype.kind in "iu" else slip
    with pytest.raises(Incorrect, match="1 wrong values"):
        check_result(kernel, wrong, expected)
    with pytest.raises(Incorrect, match="shape"):
        check_result(kernel, np.zeros(7), expected)


SIMULATION = """
import sys

import numpy as np

from hpml_kernels.call import bind, check_result
from hpml_kernels.registry import kernels
from hpml_kernels.step import wrong_for

np.seterr(over="ignore")  # the simulator computes with numpy's scalars, whose words wrap too
for pair in sys.argv[1:]:
    name, variant = pair.split("/")
    kernel = kernels()[name]
    for size in (1, 31, 300):
        inputs = kernel.make_inputs(size, np.random.default_rng(size))
        bound, expected = bind(kernel, variant, inputs), kernel.reference(*inputs)
        out = kernel.make_out(*inputs)
        for _ in range(2):
            bound.overwrite(out if kernel.in_place else wrong_for(out, expected))
            bound.run()
            check_result(kernel, bound.result(), expected)
        print(pair, size, "ok")
"""


def test_cuda_kernels_are_right_in_the_simulator(tmp_path: Path) -> None:
    """The choice of the simulator is made at import, so it has a process of its own."""
    script = tmp_path / "simulated.py"
    script.write_text(SIMULATION)
    done = subprocess.run(
        [sys.executable, script, *map("/".join, SIMULATED)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok") == 3 * len(SIMULATED)
