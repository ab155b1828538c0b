"""Right at the sizes that are timed: uneven, not square, with values that are nearly all equal."""

from math import isqrt
from typing import Any

import numpy as np
import pytest

from hpml_kernels.call import call, check_result
from hpml_kernels.kernels import transpose
from hpml_kernels.kernels.philox import WORDS, philox
from hpml_kernels.registry import kernels
from hpml_kernels.types import Kernel

PRESETS = ["tiny", "small", pytest.param("paper", marks=pytest.mark.nightly)]
PARALLEL_AND_NOT = ["numba", "numba_parallel"]


def uneven(size: int) -> int:
    """Return an odd number near a size, whose matrix has one row more than columns, both odd+even.

    The columns are an odd number, so that no row is made of whole vectors.
    """
    side = isqrt(size) - 1 | 1
    return side * (side + 1) + 5


def ours(kernel: Kernel, size: int) -> list[str]:
    """Return the names of the variants that are compiled for a CPU."""
    return [
        name
        for name, one in kernel.variants.items()
        if one.device == "cpu" and not one.is_peer and size <= (one.largest_size or size)
        if one.why_not() is None
    ]


def nearly_equal(values: np.ndarray[Any, Any], generator: np.random.Generator) -> None:
    """Leave one value of a hundred as it is, make all others the first."""
    values[generator.random(values.shape, dtype=np.float32) > 0.01] = values.flat[0]


def make_inputs(kernel: Kernel, preset: str, *, skewed: bool) -> tuple[Any, ...]:
    generator = np.random.default_rng(7)
    size = kernel.sizes[preset]
    inputs = kernel.make_inputs(uneven(size) if size > 1 else size, generator)
    arrays = [one for one in inputs if isinstance(one, np.ndarray)]
    if skewed and not arrays:
        pytest.skip("unsupported: no arrays to fill")
    for array in arrays if skewed else []:
        nearly_equal(array, generator)
    return inputs


@pytest.mark.parametrize("name", kernels())
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("skewed", [False, True], ids=["drawn", "nearly all equal"])
def test_right_at_the_sizes_that_are_timed(name: str, preset: str, skewed: bool) -> None:  # noqa: FBT001
    kernel = kernels()[name]
    inputs = make_inputs(kernel, preset, skewed=skewed)
    expected = kernel.reference(*inputs)
    for variant in ours(kernel, kernel.sizes[preset]):
        result = call(name, *inputs, variant=variant)
        check_result(kernel, result, expected, kernel.worst_tolerance if skewed else None)


@pytest.mark.parametrize("variant", PARALLEL_AND_NOT)
@pytest.mark.parametrize(("name", "arrays"), [("sum", 1), ("dot", 2)])
def test_a_sum_counts_every_element_once(name: str, arrays: int, variant: str) -> None:
    """One that is left out or counted twice is less than the tolerance of a sum so large."""
    size = uneven(kernels()[name].sizes["small"])
    ones = [np.ones(size, np.float32)] * arrays
    assert call(name, *ones, variant=variant)[0] == size


@pytest.mark.parametrize("variant", PARALLEL_AND_NOT)
def test_a_product_counts_every_step_of_depth_once(variant: str) -> None:
    a, b = (np.ones_like(one) for one in make_inputs(kernels()["matmul"], "small", skewed=False))
    assert (call("matmul", a, b, variant=variant) == a.shape[1]).all()


@pytest.mark.parametrize("variant", PARALLEL_AND_NOT)
def test_past_the_caches_a_matrix_need_not_be_square(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transpose, "last_cache_bytes", lambda: 0)
    generator = np.random.default_rng(3)
    for shape in ((2048, 2047), (1008, 3001), (4016, 519)):
        x = generator.standard_normal(shape, dtype=np.float32)
        assert transpose.goes_past_caches(x, transpose.make_out(x))
        assert np.array_equal(call("transpose", x, variant=variant), x.T)


@pytest.mark.parametrize("variant", PARALLEL_AND_NOT)
def test_philox_has_more_than_16_mi_blocks(variant: str) -> None:
    """The counters go on where 24 bits would begin again; only the last blocks are compared."""
    blocks, first, key = 2**24 + 100, 2**24 - 100, 12345
    drawn = call("philox", blocks * WORDS, key, variant=variant)[first * WORDS :]
    zero = np.uint64(0)
    counters = np.arange(first, blocks, dtype=np.uint64), zero, zero, zero
    words = philox(counters, np.uint64(key), zero)
    assert np.array_equal(drawn.reshape(-1, WORDS), np.stack(words, axis=1))
