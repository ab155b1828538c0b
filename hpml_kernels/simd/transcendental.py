"""Exponential and sine in float32 that LLVM turns into vector code, for use in compiled loops.

A call of the C library's function per element keeps a loop scalar. These are the usual polynomials
after reduction of the argument (W. Cody, W. Waite, "Software Manual for the Elementary Functions",
1980), with the Taylor coefficients: on intervals this short they are exact enough for float32. What
calls them must not let the compiler reorder sums (``reassoc``): the reduction rests on their order.
"""

import math

import numpy as np
from numba.extending import register_jitable

LOG2_E = np.float32(math.log2(math.e))
LN2_HIGH = np.float32(0.693359375)  # few bits: its product with a small whole number is exact
LN2_LOW = np.float32(math.log(2.0) - 0.693359375)
LOWEST, HIGHEST = np.float32(-87.33), np.float32(88.37)  # beyond: not a normal float32
EXPONENT_BIAS, MANTISSA_BITS = np.int32(127), np.int32(23)
E2, E3, E4, E5, E6, E7 = (np.float32(1 / math.factorial(n)) for n in range(2, 8))
ONE = np.float32(1)

PI = math.pi
S3, S5, S7, S9, S11 = (np.float32((-1) ** (n // 2) / math.factorial(n)) for n in range(3, 12, 2))
S13 = np.float32(1 / math.factorial(13))


@register_jitable
def exponential(x: np.float32) -> np.float32:
    """Return e to the power of x within 2 ulp; 0 or a very large number beyond float32's range."""
    inside = min(max(x, LOWEST), HIGHEST)
    whole = np.rint(inside * LOG2_E)
    rest = (inside - whole * LN2_HIGH) - whole * LN2_LOW
    high = E4 + rest * (E5 + rest * (E6 + rest * E7))
    series = ONE + (rest + rest * rest * (E2 + rest * (E3 + rest * high)))
    bits = np.int32((np.int32(whole) + EXPONENT_BIAS) << MANTISSA_BITS)
    power = series * np.int32(bits).view(np.float32)
    return np.float32(0) if x < LOWEST else power


@register_jitable
def squared_sine(x: np.float64) -> np.float32:
    """Return the square of sin(x): the sign is lost, so whole turns of pi may be taken away."""
    rest = np.float32(x - np.rint(x / PI) * PI)
    square = rest * rest
    high = S7 + square * (S9 + square * (S11 + square * S13))
    sine = rest + rest * square * (S3 + square * (S5 + square * high))
    return sine * sine
