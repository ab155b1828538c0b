"""Kernels on what breaks a careless one: extreme values, odd shapes, edges of blocks."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpml_kernels.call import call, check_result
from hpml_kernels.kernels import hypot, softmax, transpose
from hpml_kernels.kernels.matmul import DEPTH
from hpml_kernels.registry import kernels
from hpml_kernels.simd.matmul_tile import COLUMNS, ROWS
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from hpml_kernels.types import Array

OURS = ["numba", "numba_parallel"]
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
HARD = np.array(
    [0, 1, -1, 2**-149, 2**-126, 2**-64, 2**63, 2**64, 3e38, -3.4e38, np.inf, -np.inf, np.nan],
    np.float32,
)


@pytest.mark.parametrize("variant", [*OURS, "numpy", "torch"])
@settings(max_examples=60)
@given(
    values=st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=40),
    at=st.integers(0, 2 * hypot.BLOCK),
)
def test_hypot_is_within_an_ulp_of_any_length(
    variant: str, values: list[tuple[float, float]], at: int
) -> None:
    """Amid ordinary values, so that fast and slow blocks meet."""
    x, y = kernels()["hypot"].make_inputs(at + 1500, np.random.default_rng(at))
    x[at : at + len(values)], y[at : at + len(values)] = np.array(values, np.float32).T
    with np.errstate(all="ignore"):
        result = call("hypot", x, y, variant=variant)
        check_result(kernels()["hypot"], result, kernels()["hypot"].reference(x, y))


@pytest.mark.parametrize("variant", OURS)
def test_hypot_of_all_pairs_of_extremes(variant: str) -> None:
    x, y = (pair.reshape(-1) for pair in np.meshgrid(HARD, HARD))
    with np.errstate(all="ignore"):
        result = call("hypot", x, y, variant=variant)
        check_result(kernels()["hypot"], result, kernels()["hypot"].reference(x, y))


def test_squares_in_float32_are_caught() -> None:
    """The careless hypot: right for ordinary lengths, infinite or zero for extreme ones."""
    x = y = np.array([1, 2**70, 2**-80], np.float32)
    with np.errstate(all="ignore"):
        careless = np.sqrt(x * x + y * y)
    with pytest.raises(Incorrect, match="2 wrong values"):
        check_result(kernels()["hypot"], careless, kernels()["hypot"].reference(x, y))


@pytest.mark.parametrize("variant", OURS)
@settings(max_examples=20)
@given(size=st.integers(1, 9000), seed=st.integers(0, 99))
@example(size=4096, seed=0)  # a square of whole vectors
def test_writing_past_the_caches_changes_nothing(variant: str, size: int, seed: int) -> None:
    """The choice goes by size: here the caches are taken to be as small as they can be."""
    kernel = transpose.KERNEL
    inputs = kernel.make_inputs(size, np.random.default_rng(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transpose, "last_cache_bytes", lambda: 0)
        check_result(kernel, call(kernel.name, *inputs, variant=variant), kernel.reference(*inputs))


def near(multiple: int) -> st.SearchStrategy[int]:
    return st.sampled_from([1, multiple - 1, multiple, multiple + 1, 3 * multiple + 2])


@pytest.mark.parametrize("variant", OURS)
@settings(max_examples=30)
@given(rows=near(ROWS), depth=st.just(2) | near(DEPTH), columns=near(COLUMNS))
def test_a_matrix_product_of_any_shape(variant: str, rows: int, depth: int, columns: int) -> None:
    generator = np.random.default_rng(rows)
    a, b = (
        generator.random(shape, dtype=np.float32) for shape in ((rows, depth), (depth, columns))
    )
    check_result(kernels()["matmul"], call("matmul", a, b, variant=variant), a.astype(float) @ b)


@pytest.mark.parametrize("variant", OURS)
def test_a_matrix_product_leaves_nothing_out(variant: str) -> None:
    """One step of depth that is missing, or counted twice, is more than the tolerance allows."""
    a, b = kernels()["matmul"].make_inputs(64**2, np.random.default_rng(1))
    product = call("matmul", a, b, variant=variant)
    short = (a[:, :-1].astype(float) @ b[:-1]).astype(np.float32)
    with pytest.raises(Incorrect):
        check_result(kernels()["matmul"], short, product)


@pytest.mark.parametrize("variant", [*OURS, "numpy", "torch"])
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 100])
def test_softmax_of_large_numbers(variant: str, columns: int) -> None:
    x = np.random.default_rng(columns).uniform(-1000, 1000, (7, columns)).astype(np.float32)
    x[0], x[1], x[2, :1] = 1000, -1000, -np.inf if columns > 1 else 0
    result = call("softmax", x, variant=variant)
    check_result(kernels()["softmax"], result, kernels()["softmax"].reference(x))
    assert np.allclose(result.sum(axis=1), 1, atol=1e-6)


def test_interpreted_softmax_adds_a_row_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each element the row's cost would grow with its square."""
    totals: list[float] = []

    def counted(powers: list[float]) -> float:
        totals.append(sum(powers))
        return totals[-1]

    monkeypatch.setattr(softmax, "sum", counted, raising=False)
    call("softmax", np.ones((3, 20), np.float32), variant="python")
    assert totals == [20.0] * 3


@pytest.mark.parametrize("variant", OURS)
def test_softmax_hides_no_number_that_is_none(variant: str) -> None:
    x = np.ones((3, 40), np.float32)
    x[1, 20] = np.nan
    result = call("softmax", x, variant=variant)
    assert np.isnan(result[1]).all()
    assert np.isfinite(result[[0, 2]]).all()


def test_softmax_without_the_maximum_is_caught() -> None:
    x = np.array([[1000, 0]], np.float32)
    with np.errstate(all="ignore"):
        careless = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    with pytest.raises(Incorrect):
        check_result(kernels()["softmax"], careless, kernels()["softmax"].reference(x))


@pytest.mark.parametrize("variant", [*OURS, "numpy", "torch"])
@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40),
)
def test_a_running_sum_wraps(variant: str, values: list[int]) -> None:
    x = np.array(values, np.int64)
    with np.errstate(all="ignore"):
        expected = [(sum(values[: i + 1]) + 2**63) % 2**64 - 2**63 for i in range(len(values))]
    assert call("scan", x, variant=variant).tolist() == expected


@pytest.mark.parametrize("variant", OURS)
@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 100_003])
def test_a_histogram_of_equal_bytes(variant: str, value: int, size: int) -> None:
    counts = call("histogram", np.full(size, value, np.uint8), variant=variant)
    assert counts[value] == size == counts.sum()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("histogram", lambda one: one[::3]),
        ("hypot", lambda one: one[::2]),
        ("hypot", lambda one: one[::-1]),
        ("gaussian_pdf", lambda one: one[1:]),
        ("scan", lambda one: one[::2]),
        ("zero_suppression", lambda one: one[1::2]),
        ("matmul", lambda one: one.T),
        ("transpose", lambda one: one[1:, ::2]),
        ("stencil", lambda one: one[:, 1:]),
        ("softmax", lambda one: one[::2, 1:]),
    ],
)
@pytest.mark.parametrize("variant", OURS)
def test_strides_and_odd_starts(name: str, change: object, variant: str) -> None:
    assert callable(change)
    kernel = kernels()[name]
    inputs: tuple[Array, ...] = kernel.make_inputs(40**2, np.random.default_rng(3))
    changed = tuple(change(one) if isinstance(one, np.ndarray) else one for one in inputs)
    check_result(kernel, call(name, *changed, variant=variant), kernel.reference(*changed))
