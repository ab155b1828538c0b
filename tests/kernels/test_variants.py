"""Kernels against their references, over sizes and seeds; and in numba's CUDA simulator."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpml_kernels.kernels.monte_carlo_pi import bind_serial
from hpml_kernels.registry import kernels
from hpml_kernels.step import check_result, prepare_kernel
from hpml_kernels.types import Incorrect

PAIRS = [(kernel.name, variant) for kernel in kernels().values() for variant in kernel.variants]
ON_CPU = [pair for pair in PAIRS if pair[1] != "cuda"]


def skip_without_hardware(kernel: str, variant: str) -> None:
    if reason := kernels()[kernel].variants[variant].why_not():
        pytest.skip(reason)


@pytest.mark.parametrize(("name", "variant"), PAIRS)
@settings(max_examples=30)
@given(size=st.integers(1, 5000), seed=st.integers(0, 2**32))
def test_a_variant_gives_what_the_reference_gives(
    name: str, variant: str, size: int, seed: int
) -> None:
    skip_without_hardware(name, variant)
    kernel = kernels()[name]
    inputs = kernel.make_inputs(size, np.random.default_rng(seed))
    bound = kernel.variants[variant].bind(*inputs)
    bound.run()
    check_result(kernel, bound.result(), kernel.reference(*inputs))


@pytest.mark.parametrize("variant", [variant for name, variant in ON_CPU if name == "add"])
@given(
    values=st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=True, allow_infinity=True)] * 2), max_size=40
    )
)
def test_addition_is_exact_over_all_floats(variant: str, values: list[tuple[float, float]]) -> None:
    """Huge, subnormal, infinite, not a number; and no elements at all."""
    skip_without_hardware("add", variant)
    kernel = kernels()["add"]
    x, y = np.array(values, np.float32).reshape(-1, 2).T.copy()
    bound = kernel.variants[variant].bind(x, y)
    with np.errstate(all="ignore"):
        bound.run()
        expected = x + y
    check_result(kernel, bound.result(), expected)


def test_pi_is_estimated_without_bias() -> None:
    """Over 64 seeds the mean is within 4 standard errors: a false alarm in 16,000."""
    samples, seeds = 20_000, range(64)
    estimates = []
    for seed in seeds:
        bound = bind_serial(samples, seed * 2**40)
        bound.run()
        estimates.append(float(bound.result()))
    one_sample_deviation = np.sqrt(np.pi * (4 - np.pi))
    standard_error = one_sample_deviation / np.sqrt(samples * len(seeds))
    assert abs(np.mean(estimates) - np.pi) < 4 * standard_error
    spread = np.std(estimates) * np.sqrt(samples) / one_sample_deviation
    assert 0.7 < spread < 1.3  # seeds are independent: neither alike nor too far apart


@pytest.mark.parametrize(("name", "variant"), ON_CPU)
def test_a_prepared_kernel_says_how_it_was_compiled(name: str, variant: str) -> None:
    skip_without_hardware(name, variant)
    step = prepare_kernel(name, variant, "tiny")
    assert step.items_per_step == kernels()[name].sizes["tiny"]
    if variant == "numba_parallel":
        assert step.effective["parallel_loops"] >= 1
        assert step.effective["threads"] > 1
    elif variant == "numba":
        assert step.effective["signature"].endswith("-> none")
    step.run()


@pytest.mark.parametrize("name", kernels())
def test_a_wrong_result_is_refused(name: str) -> None:
    kernel = kernels()[name]
    expected = kernel.reference(*kernel.make_inputs(100, np.random.default_rng(0)))
    wrong = expected.copy()
    slip = 2 * kernel.tolerance * float(np.abs(expected).max())
    wrong.flat[-1] = np.nextafter(wrong.flat[-1] + slip, 9)
    with pytest.raises(Incorrect, match="1 wrong values"):
        check_result(kernel, wrong, expected)
    with pytest.raises(Incorrect, match="shape"):
        check_result(kernel, np.zeros(7), expected)


SIMULATED = """
import numpy as np
from hpml_kernels.registry import kernels
from hpml_kernels.step import check_result

np.seterr(over="ignore")  # the simulator computes with numpy's scalars, whose words wrap too
for kernel in (one for one in kernels().values() if "cuda" in one.variants):
    for size in (1, 2, 31, 300):
        inputs = kernel.make_inputs(size, np.random.default_rng(size))
        bound = kernel.variants["cuda"].bind(*inputs)
        bound.run()
        check_result(kernel, bound.result(), kernel.reference(*inputs))
        print(kernel.name, size, "ok")
"""


def test_cuda_kernels_are_right_in_the_simulator(tmp_path: Path) -> None:
    """The choice of the simulator is made at import, so it has a process of its own."""
    script = tmp_path / "simulated.py"
    script.write_text(SIMULATED)
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok") == 4 * len([one for one in PAIRS if one[1] == "cuda"])
