"""Loops over long arrays on CUDA: what bounds them is the device's memory, read 16 bytes at a time.

The operations are those of :mod:`hpml_kernels.streaming`. A thread walks on by the grid's stride,
four elements at a step; the few that are left over at the end go one by one.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from hpml_kernels.cuda import (
    ALL_LANES,
    DISTANCES,
    WARP,
    WARPS,
    by_element,
    cuda,
    sum_by_blocks,
)
from hpml_kernels.simd.cuda_vectors import load4, store4
from hpml_kernels.streaming import Operation
from hpml_kernels.types import Array, Variant

BY_FOUR = ("ld.global.v4.f32", "st.global.v4.f32")
SHUFFLED = ("ld.global.v4.f32", "shfl.sync.bfly.b32")


def of_one(operation: Operation) -> Variant:
    """Make the variant of ``out[i] = operation(x[i])``."""

    @cuda.jit
    def loop(x: Array, out: Array) -> None:
        end = out.size // 4 * 4
        for i in range(4 * cuda.grid(1), end, 4 * cuda.gridsize(1)):
            a, b, c, d = load4(x, i)
            store4(out, i, (operation(a), operation(b), operation(c), operation(d)))
        for i in range(end + cuda.grid(1), out.size, cuda.gridsize(1)):
            out[i] = operation(x[i])

    return by_element(loop, per_thread=4, instructions=BY_FOUR)


def of_two(operation: Operation) -> Variant:
    """Make the variant of ``out[i] = operation(x[i], y[i])``."""

    @cuda.jit
    def loop(x: Array, y: Array, out: Array) -> None:
        end = out.size // 4 * 4
        for i in range(4 * cuda.grid(1), end, 4 * cuda.gridsize(1)):
            (a, b, c, d), (e, f, g, h) = load4(x, i), load4(y, i)
            four = operation(a, e), operation(b, f), operation(c, g), operation(d, h)
            store4(out, i, four)
        for i in range(end + cuda.grid(1), out.size, cuda.gridsize(1)):
            out[i] = operation(x[i], y[i])

    return by_element(loop, per_thread=4, instructions=BY_FOUR)


def of_scaled(operation: Operation, *, updates: bool = False) -> Variant:
    """Make the variant of ``out[i] = operation(factor, x[i], y[i])``.

    ``updates``: ``out`` holds ``y``, and is updated where it lies.
    """

    @cuda.jit
    def loop(factor: float, x: Array, y: Array, out: Array) -> None:
        last = out if updates else y
        k, end = np.float32(factor), out.size // 4 * 4
        for i in range(4 * cuda.grid(1), end, 4 * cuda.gridsize(1)):
            (a, b, c, d), (e, f, g, h) = load4(x, i), load4(last, i)
            first_two = operation(k, a, e), operation(k, b, f)
            store4(out, i, (*first_two, operation(k, c, g), operation(k, d, h)))
        for i in range(end + cuda.grid(1), out.size, cuda.gridsize(1)):
            out[i] = operation(k, x[i], last[i])

    return by_element(loop, per_thread=4, instructions=BY_FOUR)


@cuda.jit(device=True)
def add_up_threads(own: Any, sums: Array) -> None:
    """Leave the sum over a block's threads: of each warp's lanes, then of the warps."""
    by_warp = cuda.shared.array(WARPS, np.float64)
    for distance in DISTANCES:
        own += cuda.shfl_xor_sync(ALL_LANES, own, distance)
    if cuda.threadIdx.x % WARP == 0:
        by_warp[cuda.threadIdx.x // WARP] = own
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        whole = 0.0
        for warp in range(WARPS):
            whole += by_warp[warp]
        sums[cuda.blockIdx.x] = whole


def sum_of_one(operation: Operation) -> Variant:
    """Make the variant of ``out[0] = sum over i of operation(x[i])``, added up in float64."""

    @cuda.jit
    def loop(x: Array, sums: Array) -> None:
        own, end = 0.0, x.size // 4 * 4
        for i in range(4 * cuda.grid(1), end, 4 * cuda.gridsize(1)):
            a, b, c, d = load4(x, i)
            own += np.float64(operation(a)) + np.float64(operation(b))
            own += np.float64(operation(c)) + np.float64(operation(d))
        for i in range(end + cuda.grid(1), x.size, cuda.gridsize(1)):
            own += np.float64(operation(x[i]))
        add_up_threads(own, sums)

    return _shuffled(loop, "void(float32[::1], float64[::1])")


def sum_of_two(operation: Operation) -> Variant:
    """Make the variant of ``out[0] = sum over i of operation(x[i], y[i])``, in float64."""

    @cuda.jit
    def loop(x: Array, y: Array, sums: Array) -> None:
        own, end = 0.0, x.size // 4 * 4
        for i in range(4 * cuda.grid(1), end, 4 * cuda.gridsize(1)):
            (a, b, c, d), (e, f, g, h) = load4(x, i), load4(y, i)
            own += np.float64(operation(a, e)) + np.float64(operation(b, f))
            own += np.float64(operation(c, g)) + np.float64(operation(d, h))
        for i in range(end + cuda.grid(1), x.size, cuda.gridsize(1)):
            own += np.float64(operation(x[i], y[i]))
        add_up_threads(own, sums)

    return _shuffled(loop, "void(float32[::1], float32[::1], float64[::1])")


def _shuffled(loop: Any, signature: str) -> Variant:
    variant = sum_by_blocks(loop, signature, per_thread=4, instructions=SHUFFLED)
    return replace(variant, simulated=False)  # the simulator has no shuffles
