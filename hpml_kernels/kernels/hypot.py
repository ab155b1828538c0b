"""Length of the hypotenuse over two float32 arrays: elementwise arithmetic that can overflow.

The sum of squares is exact enough in float64, and cannot overflow there. Rounded to float32 it
loses half an ulp at most, of which the root keeps half: with the root's own rounding less than one
ulp in all. A float32 root is several times faster than one in float64. Blocks with a sum that
float32 holds badly or not at all (huge, tiny, zero, infinite, NaN) are computed once more, slowly.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numba import prange

from hpml_kernels.checks import check_pair
from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work

BLOCK = 1024  # elements, a few KiB: the slow path finds them in the first-level cache
SMALLEST_NORMAL = np.int32(0x00800000)  # the bits of 2^-126
NORMAL_SPAN = np.uint32(0x7F000000)  # from there to infinity, as unsigned bits
INFINITY = np.float32(np.inf)


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two arrays of ``size`` normal numbers."""
    return tuple(generator.standard_normal(size, dtype=np.float32) for _ in range(2))


def reference(x: Array, y: Array) -> Array:
    """Compute in float64."""
    length: Array = np.hypot(x.astype(np.float64), y)
    return length


def hypot_loop(x: Array, y: Array, out: Array) -> None:
    """Compute one element after the other."""
    for i in range(out.size):
        out[i] = math.hypot(x[i], y[i])


@jit(fastmath={"contract"})
def hypot_normal(x: Array, y: Array, out: Array) -> Any:
    """Compute a block and say whether all of its sums were normal float32 numbers."""
    farthest = np.uint32(0)
    for i in range(np.uintp(out.size)):
        total = np.float32(np.float64(x[i]) * x[i] + np.float64(y[i]) * y[i])
        above = np.uint32(np.float32(total).view(np.int32) - SMALLEST_NORMAL)  # wraps if below
        farthest = max(farthest, above)
        out[i] = np.sqrt(total)
    return farthest < NORMAL_SPAN


@jit()
def hypot_any(x: Array, y: Array, out: Array) -> None:
    """Compute a block of any values: an infinite side wins over one that is not a number."""
    for i in range(np.uintp(out.size)):
        root = np.sqrt(np.float64(x[i]) * x[i] + np.float64(y[i]) * y[i])
        infinite = (abs(x[i]) == INFINITY) | (abs(y[i]) == INFINITY)
        out[i] = INFINITY if infinite else np.float32(root)


@jit()
def hypot_block(x: Array, y: Array, out: Array) -> None:
    """Compute a block the fast way, and once more where that was not enough."""
    if not hypot_normal(x, y, out):
        hypot_any(x, y, out)


@jit()
def hypot_serial(x: Array, y: Array, out: Array) -> None:
    """Compute on one core."""
    for at in range(0, out.size, BLOCK):
        hypot_block(x[at : at + BLOCK], y[at : at + BLOCK], out[at : at + BLOCK])


@jit(parallel=True)
def hypot_parallel(x: Array, y: Array, tally: Array, out: Array) -> None:
    """Compute on all cores."""
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(np.uintp(out.size), tally.shape[0], chunk)
        hypot_serial(x[first:last], y[first:last], out[first:last])
        count_work(tally, last - first)


@cuda.jit
def hypot_cuda(x: Array, y: Array, out: Array) -> None:
    """Compute on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = math.hypot(x[i], y[i])


KERNEL = Kernel(
    name="hypot",
    sizes={"tiny": 100_000, "small": 1_000_000, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda x, _y: np.empty_like(x),
    check=check_pair,
    reference=reference,
    tolerance=Tolerance(ulps=1),
    work=lambda size: Work(bytes_moved=12 * size, flops=4 * size),
    limit="combine",
    variants={
        "python": interpreted(hypot_loop),
        **on_numpy(lambda x, y, out: np.hypot(x, y, out=out)),
        **on_torch(lambda torch, x, y, out: torch.hypot(x, y, out=out)),
        **on_cupy(lambda cupy, x, y, out: cupy.hypot(x, y, out=out)),
        "numba": in_numba(hypot_serial),
        "numba_parallel": in_chunks(hypot_parallel),
        "cuda_naive": by_element(hypot_cuda),
        "cuda_1x1": by_element(hypot_cuda, shape=(1, 1)),  # a single thread: how not to launch
        # 8,192 threads take the simulator several seconds.
        "cuda_128x64": replace(by_element(hypot_cuda, shape=(128, 64)), simulated=False),
    },
)
