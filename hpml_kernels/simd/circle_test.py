"""Random points of a 64-bit word: two, each of two signed 16-bit numbers, in a square around zero.

A point is a hit if it lies in the circle that touches the square's sides. The lattice of all points
has a pi of its own, :data:`LATTICE_PI`, which is 9e-7 off: the standard error of an estimate from
3e12 samples.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.simd.vectors import square_sums

IN_WORD = 2
RADIUS_SQUARED = np.uint64(2**30)
LATTICE_PI = 4 * 3_373_258_461 / 2**32  # C. F. Gauss's circle problem, for a radius of 2**15
OPERATIONS = 5  # of a test: two multiplications, addition, comparison, count
_SIGN, _HALF = np.uint64(2**15), np.uint64(0xFFFF)
_RIM_TO_SIGN, _SIGN_BIT = np.uint32(2**31 - 2**30), np.uint32(31)
_BITS, _POINT_BITS = np.uint64(16), np.uint64(32)


@register_jitable
def coordinate(word: Any, bits: Any) -> Any:
    """Return the signed 16-bit number that begins at a bit, modulo 2**64: good to be squared."""
    return (((word >> bits) & _HALF) ^ _SIGN) - _SIGN


@register_jitable
def is_hit(word: Any, number: Any) -> Any:
    """Say of the first (0) or second (1) point of a word whether it falls in the circle."""
    at = np.uint64(number) * _POINT_BITS
    x, y = coordinate(word, at), coordinate(word, at + _BITS)
    return x * x + y * y < RADIUS_SQUARED


@register_jitable
def hits_in(word: Any) -> Any:
    """Count a word's hits: 0, 1 or 2."""
    return np.uint64(is_hit(word, 0)) + np.uint64(is_hit(word, 1))


@register_jitable
def misses_in(words: Any) -> Any:
    """Say of the points of a vector of words: 1 for a miss, 0 for a hit.

    Squares add up to 2**31 at the most, so another 2**30 sets the sign bit from the rim on.
    """
    return (square_sums(words) + _RIM_TO_SIGN) >> _SIGN_BIT
