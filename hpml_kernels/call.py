"""A kernel's variant is given its arguments: checked first, then bound or called."""

import inspect
from typing import Any

import numpy as np

from hpml_kernels.checks import check_out
from hpml_kernels.registry import kernels
from hpml_kernels.types import Array, Bound, Inputs, Kernel, Tolerance
from hpml_steps.incorrect import Incorrect


def call(kernel_name: str, *inputs: Any, variant: str = "numba", out: Array | None = None) -> Array:
    """Compute a kernel: ``call("add", x, y)``.

    Raises ``TypeError`` or ``ValueError`` that names the argument at fault, and
    ``NotImplementedError`` with the reason where this machine lacks what the variant needs.
    """
    kernel = kernels()[kernel_name]
    if reason := kernel.variants[variant].why_not():
        raise NotImplementedError(f"{kernel_name}-{variant}: {reason}")
    bound = bind(kernel, variant, inputs, out)
    bound.run()
    result = bound.result()
    if out is None:
        return result
    out[...] = result
    return out


def bind(kernel: Kernel, variant: str, inputs: Inputs, out: Array | None = None) -> Bound:
    """Check the arguments and bind a variant to them; ``out`` is allocated where none is given."""
    kernel.check(*inputs)
    fresh = kernel.make_out(*inputs)
    if out is not None:
        names = inspect.signature(kernel.check).parameters
        check_out(out, fresh, dict(zip(names, inputs, strict=True)))
        out[...] = fresh
    return kernel.variants[variant].bind(*inputs, fresh if out is None else out)


def check_variant(kernel: Kernel, variant: str, result: Array, expected: Array) -> None:
    """Hold a variant's result to the reference, by its own tolerance if it has one."""
    check_result(kernel, result, expected, kernel.variants[variant].tolerance)


def check_result(
    kernel: Kernel, result: Array, expected: Array, tolerance: Tolerance | None = None
) -> None:
    """Raise :class:`~hpml_steps.incorrect.Incorrect` if the two differ by more than is allowed.

    That is the kernel's tolerance where no other is given.
    """
    if result.shape != expected.shape:
        raise Incorrect(f"{kernel.name} gives shape {result.shape}, not {expected.shape}")
    with np.errstate(all="ignore"):  # infinite and huge values are compared too
        rounded = expected.astype(result.dtype)
        if np.array_equal(result, rounded):
            return
        close = _is_close(tolerance or kernel.tolerance, result, expected, rounded)
    if not close.all():
        wrong = int(np.size(close) - np.count_nonzero(close))
        raise Incorrect(f"{kernel.name} gives {wrong} wrong values of {expected.size}")


def _is_close(tolerance: Tolerance, result: Array, expected: Array, rounded: Array) -> Array:
    """Compare each value: equal once rounded to the result's type, or near enough before that."""
    same = np.equal(result, rounded) | (np.isnan(result) & np.isnan(rounded))
    wide = np.promote_types(expected.dtype, np.float64)
    error = np.abs(result.astype(wide) - expected.astype(wide))
    near: Array = same | (error <= _allowed(tolerance, rounded))
    return near


def _allowed(tolerance: Tolerance, rounded: Array) -> Array:
    finite = np.isfinite(rounded)
    magnitudes = np.abs(np.where(finite, rounded, 0))
    largest = float(np.max(magnitudes, initial=0.0))
    spacings = np.spacing(magnitudes) if rounded.dtype.kind == "f" else 0.0
    allowed: Array = np.maximum(tolerance.ulps * spacings, tolerance.of_largest * largest)
    return np.where(finite, allowed, 0.0)
