"""What cannot be computed is refused by the name of the argument, before anything is launched."""

from typing import Any

import numpy as np
import pytest

from hpml_kernels.call import bind, call
from hpml_kernels.registry import kernels

X = np.ones(8, np.float32)
PAIRS = {"add": (), "dot": (), "triad": (0.5,), "saxpy": (0.5,)}
MIXED = np.ones(20, np.float32)


def read_only() -> Any:
    array = X.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        ((X, X[:5]), ValueError, r"y has shape \(5,\), not \(8,\) as x asks for"),
        ((X.astype(np.float64), X), TypeError, "x has dtype float64, not float32"),
        ((X, X.astype(np.int32)), TypeError, "y has dtype int32, not float32"),
        ((X[:0], X[:0]), ValueError, "x has no elements"),
        ((X, list(X)), TypeError, "y is a list, not a numpy array"),
        ((X.reshape(2, 4), X), ValueError, "x has 2 dimensions, not 1"),
    ],
)
def test_a_bad_pair(name: str, pair: tuple[Any, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(name, *PAIRS[name], *pair)


@pytest.mark.parametrize(
    ("inputs", "out", "error", "message"),
    [
        ((X, X), read_only(), ValueError, "out is read-only"),
        ((X, X), X, ValueError, "out overlaps x"),
        ((X.copy(), MIXED[:8]), MIXED[4:12], ValueError, "out overlaps y"),
        ((X, X), np.ones(7, np.float32), ValueError, r"out has shape \(7,\), not \(8,\)"),
        ((X, X), np.ones(8), TypeError, "out has dtype float64"),
    ],
)
def test_a_bad_out(inputs: Any, out: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call("add", *inputs, out=out)


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ((0, 1), ValueError, "samples is 0, not at least 1"),
        ((10, -1), ValueError, "seed is -1, not at least 0"),
        ((1.5, 1), TypeError, "samples is a float, not a whole number"),
    ],
)
def test_a_bad_number_of_samples(inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call("monte_carlo_pi", *inputs)


def test_a_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="a is nan, not finite"):
        call("saxpy", float("nan"), X, X)


def test_what_the_machine_lacks_is_said() -> None:
    lacking = {
        name: reason
        for name, variant in kernels()["add"].variants.items()
        if (reason := variant.why_not())
    }
    for name, reason in lacking.items():
        with pytest.raises(NotImplementedError, match=reason.split(":")[0]):
            call("add", X, X, variant=name)


@pytest.mark.parametrize("name", kernels())
def test_no_kernel_takes_nothing_for_something(name: str) -> None:
    """Every kernel checks: arrays of the wrong kind are never bound."""
    kernel = kernels()[name]
    inputs = kernel.make_inputs(100, np.random.default_rng(0))
    for at, value in enumerate(inputs):
        wrong = value.astype(np.complex64) if isinstance(value, np.ndarray) else "one"
        with pytest.raises((TypeError, ValueError)):
            bind(kernel, "numba", (*inputs[:at], wrong, *inputs[at + 1 :]))
