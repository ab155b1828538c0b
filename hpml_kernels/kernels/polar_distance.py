"""Distance of points in polar coordinates, over four float32 arrays.

The law of cosines loses everything where the points are near each other; written with the square
of the sine of half the angle between them, its two terms are squares and nothing cancels:
(r1 - r2)^2 + 4 r1 r2 sin^2((a1 - a2) / 2).
"""

import math
from typing import Any

import numpy as np
from numba import prange

from hpml_kernels.checks import check_array, check_shape
from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch, with_tolerance
from hpml_kernels.simd.transcendental import squared_sine
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work

HALF, FOUR = 0.5, np.float32(4)
CARTESIAN = Tolerance(of_largest=1e-6)  # differences of coordinates cancel


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw distances from the origin and angles of two sets of points."""
    pairs = [
        (generator.uniform(0.5, 1.5, size), generator.uniform(-math.pi, math.pi, size))
        for _ in range(2)
    ]
    return tuple(values.astype(np.float32) for pair in pairs for values in pair)


def check(r1: Array, a1: Array, r2: Array, a2: Array) -> None:
    """Ask for four float32 arrays of one length."""
    check_array("r1", r1, np.float32)
    for name, array in {"a1": a1, "r2": r2, "a2": a2}.items():
        check_array(name, array, np.float32)
        check_shape(name, array, r1.shape, "r1")


def distance(math_of: Any, r1: Any, a1: Any, r2: Any, a2: Any) -> Any:
    """Compute by Cartesian coordinates with a library's sine and cosine."""
    dx = r1 * math_of.cos(a1) - r2 * math_of.cos(a2)
    dy = r1 * math_of.sin(a1) - r2 * math_of.sin(a2)
    return math_of.sqrt(dx * dx + dy * dy)


def reference(r1: Array, a1: Array, r2: Array, a2: Array) -> Array:
    """Compute in float64."""
    r1, a1, r2, a2 = (array.astype(np.float64) for array in (r1, a1, r2, a2))
    distances: Array = distance(np, r1, a1, r2, a2)
    return distances


def polar_loop(r1: Array, a1: Array, r2: Array, a2: Array, out: Array) -> None:
    """Compute one element after the other."""
    for i in range(out.size):
        out[i] = distance(math, *(float(array[i]) for array in (r1, a1, r2, a2)))


@jit(fastmath={"contract"}, error_model="numpy")
def polar_serial(r1: Array, a1: Array, r2: Array, a2: Array, out: Array) -> None:
    """Compute on one core."""
    for i in range(np.uintp(out.size)):
        beside = squared_sine((np.float64(a1[i]) - np.float64(a2[i])) * HALF)
        along = r1[i] - r2[i]
        out[i] = np.sqrt(along * along + FOUR * r1[i] * r2[i] * beside)


@jit(parallel=True)
def polar_parallel(  # noqa: PLR0913  two arrays for each point
    r1: Array, a1: Array, r2: Array, a2: Array, tally: Array, out: Array
) -> None:
    """Compute on all cores."""
    for chunk in prange(tally.shape[0]):
        i, j = chunk_bounds(np.uintp(out.size), tally.shape[0], chunk)
        polar_serial(r1[i:j], a1[i:j], r2[i:j], a2[i:j], out[i:j])
        count_work(tally, j - i)


@cuda.jit
def polar_cuda(r1: Array, a1: Array, r2: Array, a2: Array, out: Array) -> None:
    """Compute on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        sine = math.sin((a1[i] - a2[i]) * np.float32(HALF))
        along = r1[i] - r2[i]
        out[i] = math.sqrt(along * along + FOUR * r1[i] * r2[i] * sine * sine)


def run(  # noqa: PLR0913
    library: Any, r1: Any, a1: Any, r2: Any, a2: Any, out: Any
) -> None:
    """Let a library compute, and copy what it gives."""
    out[...] = distance(library, r1, a1, r2, a2)


KERNEL = Kernel(
    name="polar_distance",
    sizes={"tiny": 100_000, "small": 1_000_000, "paper": 1_000_000},
    make_inputs=make_inputs,
    make_out=lambda r1, *_others: np.empty_like(r1),
    check=check,
    reference=reference,
    tolerance=Tolerance(ulps=4, of_largest=2e-7),  # an angle's own rounding weighs at small ones
    work=lambda size: Work(bytes_moved=20 * size, flops=25 * size),
    limit="combine",
    variants={
        "python": interpreted(polar_loop),
        **with_tolerance(CARTESIAN, on_numpy(lambda *arguments: run(np, *arguments))),
        **with_tolerance(
            CARTESIAN,
            on_numexpr(
                "sqrt((r1*cos(a1) - r2*cos(a2))**2 + (r1*sin(a1) - r2*sin(a2))**2)",
                "r1",
                "a1",
                "r2",
                "a2",
            ),
        ),
        **with_tolerance(CARTESIAN, on_torch(run)),
        **with_tolerance(CARTESIAN, on_cupy(run)),
        "numba": in_numba(polar_serial),
        "numba_parallel": in_chunks(polar_parallel),
        "cuda_naive": by_element(polar_cuda),
    },
)
