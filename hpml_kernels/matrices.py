"""Matrices for kernels whose size is one number of elements: as square as it divides."""

import math

import numpy as np

from hpml_kernels.checks import check_array
from hpml_kernels.types import Array, Inputs


def sides(size: int) -> tuple[int, int]:
    """Return rows and columns of a matrix of about ``size`` elements; alike for a square."""
    columns = math.isqrt(size)
    return size // columns, columns


def make_matrix(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a matrix of normal numbers."""
    return (generator.standard_normal(sides(size), dtype=np.float32),)


def check_matrix(x: Array) -> None:
    """Ask for one float32 matrix."""
    check_array("x", x, np.float32, ndim=2)
