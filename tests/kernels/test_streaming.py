"""Loops over vectors: sizes around a vector and a block, any alignment, strides, hard values."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import prange

from hpml_kernels.call import call, check_result
from hpml_kernels.cpu import in_parallel, jit
from hpml_kernels.registry import kernels
from hpml_kernels.types import Array
from hpml_steps.incorrect import Incorrect

OURS = ["python", "numba", "numba_parallel"]
A = np.float32(0.75)
EXACTLY: dict[str, Callable[..., Array]] = {  # each operation rounded, as IEEE 754 says
    "copy": lambda x, _y: x,
    "add": lambda x, y: x + y,
    "triad": lambda x, y: x + A * y,
    "saxpy": lambda x, y: A * x + y,
}
SIZES = st.one_of(
    st.integers(1, 70),
    st.sampled_from([16, 64, 4096, 8192]).flatmap(lambda at: st.integers(at - 1, at + 1)),
)


@st.composite
def placed(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    """Two arrays and an ``out`` of one size, at any alignment and with any strides."""
    size = draw(SIZES)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = []
    for _ in range(3):
        step, first = draw(st.sampled_from([1, 1, 1, 2, -1, -3])), draw(st.integers(0, 17))
        room = generator.standard_normal(abs(step) * size + first, dtype=np.float32)
        made.append(room[first:][::step][:size])
    x, y, out = made
    return x, y, out


def arguments(name: str, x: Array, y: Array) -> tuple[Any, ...]:
    """What a kernel takes of a number and two arrays."""
    return {"copy": (x,), "add": (x, y)}.get(name, (A, x, y))


@pytest.fixture(params=[False, True], ids=["through the caches", "past the caches"])
def _past_caches(request: pytest.FixtureRequest) -> Iterator[None]:
    """Choose the way of writing, which otherwise goes by size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "hpml_kernels.streaming.last_cache_bytes", lambda: -1 if request.param else 2**60
        )
        yield


@pytest.mark.parametrize("name", EXACTLY)
@pytest.mark.parametrize("variant", OURS[1:])
@pytest.mark.usefixtures("_past_caches")
@settings(max_examples=40)
@given(three=placed())
def test_any_size_alignment_and_strides(
    name: str, variant: str, three: tuple[Array, Array, Array]
) -> None:
    x, y, out = three
    before = x.copy(), y.copy()
    result = call(name, *arguments(name, x, y), variant=variant, out=out)
    np.testing.assert_array_equal(result, EXACTLY[name](*before))
    assert result is out
    np.testing.assert_array_equal((x, y), before)  # and nothing else was written


@pytest.mark.parametrize("name", EXACTLY)
@pytest.mark.parametrize("variant", OURS)
@given(pair=arrays(np.float32, st.tuples(st.just(2), st.integers(1, 40))))
def test_every_float_is_computed_exactly(name: str, variant: str, pair: Array) -> None:
    """Huge, subnormal, infinite, not a number."""
    with np.errstate(all="ignore"):
        result = call(name, *arguments(name, *pair), variant=variant)
        np.testing.assert_array_equal(result, EXACTLY[name](*pair))


@pytest.mark.parametrize("name", ["sum", "dot"])
@pytest.mark.parametrize("variant", OURS)
@settings(max_examples=40)
@given(three=placed())
def test_sums_of_any_size_and_strides(
    name: str, variant: str, three: tuple[Array, Array, Array]
) -> None:
    inputs = [one.astype(np.float64) for one in three[: 1 if name == "sum" else 2]]
    terms = np.prod(inputs, axis=0)
    result = call(name, *three[: len(inputs)], variant=variant)[0]
    assert abs(result - terms.sum()) <= 2.0**-21 * np.abs(terms).sum()


@pytest.mark.parametrize("variant", OURS[1:])
@pytest.mark.parametrize("hard", [np.inf, -np.inf, np.nan])
def test_a_sum_knows_infinity(variant: str, hard: float) -> None:
    x = np.ones(5000, np.float32)
    x[4321] = hard
    np.testing.assert_equal(call("sum", x, variant=variant)[0], hard)


LARGE = 2**26  # a float32 total of ones stops growing at a quarter of it


@pytest.mark.parametrize("variant", OURS[1:])
def test_a_large_sum_is_exact_to_1e_7(variant: str) -> None:
    x = np.random.default_rng(1).random(LARGE, dtype=np.float32)
    exact = x.sum(dtype=np.float64)
    assert abs(call("sum", x, variant=variant)[0] - exact) < 1e-7 * exact


def test_a_float32_total_is_caught() -> None:
    """The fault that tests of small arrays cannot see."""

    @jit()
    def add_up(x: Array, out: Array) -> None:
        total = np.float32(0)
        for i in range(x.size):
            total += x[i]
        out[0] = total

    kernel, x = kernels()["sum"], np.ones(LARGE, np.float32)
    out = np.zeros(1)
    add_up(x, out)
    with pytest.raises(Incorrect):
        check_result(kernel, out, kernel.reference(x))


def test_a_race_is_caught() -> None:
    """A total that threads share: each adds to what it read, whatever the others wrote since.

    On a busy machine the threads may run one after the other, so there are several runs.
    """

    def add_up(x: Array, shared: Array) -> None:
        for part in prange(64):
            for i in range(part, x.size, 64):
                shared[0] += x[i]

    kernel, x = kernels()["sum"], np.ones(2**22, np.float32)
    racing = in_parallel(jit(parallel=True)(add_up))
    if reason := racing.why_not():
        pytest.skip(reason)
    expected = kernel.reference(x)

    def race_often() -> None:
        for _ in range(100):
            bound = racing.bind(x, np.zeros(1))
            bound.run()
            check_result(kernel, bound.result(), expected)

    with pytest.raises(Incorrect):
        race_often()


def test_equal_runs_give_equal_bits() -> None:
    x = np.random.default_rng(2).standard_normal(100_001, dtype=np.float32)
    for variant in OURS[1:]:
        assert len({call("sum", x, variant=variant)[0] for _ in range(20)}) == 1
