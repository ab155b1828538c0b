"""What a kernel asks of its arguments, said before anything is launched.

Each check raises ``TypeError`` or ``ValueError`` that names the argument and what it has.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from hpml_kernels.types import Array


def check_array(name: str, array: Array, dtype: DTypeLike, *, ndim: int = 1) -> None:
    """Ask for a host array of this type and number of dimensions, with at least one element."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {type(array).__name__}, not a numpy array")
    if array.dtype != np.dtype(dtype):
        raise TypeError(f"{name} has dtype {array.dtype}, not {np.dtype(dtype)}")
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions, not {ndim}")
    if array.size == 0:
        raise ValueError(f"{name} has no elements")


def check_shape(name: str, array: Array, shape: tuple[int, ...], of: str) -> None:
    """Ask for a shape; ``of`` says where it comes from (``x``)."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape} as {of} asks for")


def check_vector(x: Array) -> None:
    """Ask for one float32 array."""
    check_array("x", x, np.float32)


def check_pair(x: Array, y: Array) -> None:
    """Ask for two float32 arrays of one length."""
    check_array("x", x, np.float32)
    check_array("y", y, np.float32)
    check_shape("y", y, x.shape, "x")


def check_scaled_pair(a: float, x: Array, y: Array) -> None:
    """Ask for a number and two float32 arrays of one length."""
    check_number("a", a)
    check_pair(x, y)


def check_out(out: Array, like: Array, inputs: Mapping[str, object]) -> None:
    """Ask for an ``out`` of that type and shape that can be written and overlaps no input."""
    check_array("out", out, like.dtype, ndim=like.ndim)
    check_shape("out", out, like.shape, "/".join(inputs))
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    for name, value in inputs.items():
        # By their bounds: an exact answer can take for ever.
        if isinstance(value, np.ndarray) and np.may_share_memory(out, value):
            raise ValueError(f"out overlaps {name}")


def check_count(name: str, number: int, *, least: int = 1) -> None:
    """Ask for a whole number of at least ``least``."""
    if not isinstance(number, int | np.integer):
        raise TypeError(f"{name} is a {type(number).__name__}, not a whole number")
    if number < least:
        raise ValueError(f"{name} is {number}, not at least {least}")


def check_number(name: str, number: float) -> None:
    """Ask for a finite number."""
    if not isinstance(number, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is a {type(number).__name__}, not a number")
    if not np.isfinite(number):
        raise ValueError(f"{name} is {number}, not finite")
