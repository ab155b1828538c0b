"""Softmax of the rows of a float32 matrix: two reductions and an exponential.

Each row's largest number is taken away first: without that e^x overflows beyond 88.
"""

import math
from typing import Any

import numpy as np
from numba import prange

from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import (
    ALL_LANES,
    DISTANCES,
    THREADS,
    WARP,
    WARPS,
    bind_cuda,
    cuda,
    on_cuda,
    to_device,
)
from hpml_kernels.matrices import check_matrix, sides
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.simd import vectors
from hpml_kernels.simd.transcendental import exponential
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Work

SPREAD = 1000.0  # of the first row's numbers; the others are normal
FIRST, LANES = np.uintp(0), np.uintp(16)  # float32 in a vector
LOWEST = np.float32(-np.inf)


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a matrix of normal numbers, the first row a thousand times as large."""
    x = generator.standard_normal(sides(size), dtype=np.float32)
    x[0] *= np.float32(SPREAD)
    return (x,)


def reference(x: Array) -> Array:
    """Compute in float64."""
    wide = x.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def work(size: int) -> Work:
    """Count a read and a write of each element, and what one costs."""
    rows, columns = sides(size)
    return Work(bytes_moved=8 * rows * columns, flops=20 * rows * columns)


def softmax_loop(x: Array, out: Array) -> None:
    """Compute one row after the other."""
    for i in range(x.shape[0]):
        largest = max(float(value) for value in x[i])
        powers = [math.exp(float(value) - largest) for value in x[i]]
        total = sum(powers)
        out[i] = [power / total for power in powers]


@jit()
def largest_of(x: Array) -> Any:
    """Return the largest number of a row; any of the others where one is not a number."""
    whole = np.uintp(x.size) // LANES * LANES
    largest = x[0]
    if whole:  # numba's loops find a maximum one by one
        found = vectors.load(x, FIRST)
        for j in range(LANES, whole, LANES):
            found = vectors.larger(found, vectors.load(x, j))
        largest = vectors.greatest(found)
    for j in range(whole, np.uintp(x.size)):
        largest = max(largest, x[j])
    return largest


@jit(fastmath={"contract"})
def powers_of(x: Array, largest: Any, out: Array) -> None:
    """Compute the exponentials of a row; its sums may not be reordered."""
    for j in range(np.uintp(x.size)):
        out[j] = exponential(x[j] - largest)


@jit(fastmath={"reassoc", "nsz"}, error_model="numpy")
def divide_by_sum(out: Array) -> None:
    """Make shares of a row."""
    total = np.float32(0)
    for j in range(np.uintp(out.size)):
        total += out[j]
    share = np.float32(1) / total
    for j in range(np.uintp(out.size)):
        out[j] *= share


@jit()
def softmax_row(x: Array, out: Array) -> None:
    """Compute a row, which stays in the first-level cache between the loops."""
    powers_of(x, largest_of(x), out)
    divide_by_sum(out)


@jit()
def softmax_serial(x: Array, out: Array) -> None:
    """Compute on one core."""
    for i in range(x.shape[0]):
        softmax_row(x[i], out[i])


@jit(parallel=True)
def softmax_parallel(x: Array, tally: Array, out: Array) -> None:
    """Compute on all cores, each its own rows."""
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(np.uintp(x.shape[0]), tally.shape[0], chunk)
        softmax_serial(x[first:last], out[first:last])
        count_work(tally, last - first)


def softmax_steps(library: Any, x: Any, out: Any) -> None:
    """Compute in ``out``, step by step, with numpy or CuPy."""
    library.subtract(x, x.max(axis=1, keepdims=True), out=out)
    library.exp(out, out=out)
    library.divide(out, out.sum(axis=1, keepdims=True), out=out)


@cuda.jit(device=True)
def larger(a: np.float32, b: np.float32) -> np.float32:
    """Choose the larger number; numba's own ``max`` does not compile for every CUDA target."""
    return b if b > a else a  # noqa: FURB136


@cuda.jit
def softmax_cuda(x: Array, out: Array) -> None:
    """Compute on the device, a thread for each row."""
    i = cuda.grid(1)
    if i < x.shape[0]:
        largest = x[i, 0]
        for j in range(x.shape[1]):
            largest = larger(largest, x[i, j])
        total = np.float32(0)
        for j in range(x.shape[1]):
            power = math.exp(x[i, j] - largest)
            out[i, j] = power
            total += power
        for j in range(x.shape[1]):
            out[i, j] /= total


@cuda.jit
def softmax_shuffled_cuda(x: Array, out: Array) -> None:
    """Compute on the device, a warp for each row, whose lanes exchange what they found."""
    i = cuda.grid(1) // WARP
    lane = cuda.threadIdx.x % WARP
    if i < x.shape[0]:
        largest = LOWEST
        for j in range(lane, x.shape[1], WARP):
            largest = larger(largest, x[i, j])
        for distance in DISTANCES:
            largest = larger(largest, cuda.shfl_xor_sync(ALL_LANES, largest, distance))
        total = np.float32(0)
        for j in range(lane, x.shape[1], WARP):
            total += math.exp(x[i, j] - largest)
        for distance in DISTANCES:
            total += cuda.shfl_xor_sync(ALL_LANES, total, distance)
        for j in range(lane, x.shape[1], WARP):
            out[i, j] = math.exp(x[i, j] - largest) / total


def bind_rows(x: Array, out: Array) -> Bound:
    """Bind the kernel with a thread for each row."""
    arguments = to_device(x), to_device(out)
    blocks = -(-x.shape[0] // THREADS)
    return bind_cuda(softmax_cuda, blocks, arguments[-1], *arguments)


def bind_warps(x: Array, out: Array) -> Bound:
    """Bind the kernel with a warp for each row."""
    arguments = to_device(x), to_device(out)
    blocks = -(-x.shape[0] // WARPS)
    return bind_cuda(softmax_shuffled_cuda, blocks, arguments[-1], *arguments)


KERNEL = Kernel(
    name="softmax",
    sizes={"tiny": 256**2, "small": 2048**2, "paper": 8192**2},
    make_inputs=make_inputs,
    make_out=np.empty_like,
    check=check_matrix,
    reference=reference,
    tolerance=Tolerance(of_largest=1e-6),
    work=work,
    limit="copy",
    variants={
        "python": interpreted(softmax_loop),
        **on_numpy(lambda x, out: softmax_steps(np, x, out)),
        **on_torch(lambda torch, x, out: torch.softmax(x, 1, out=out)),
        **on_cupy(softmax_steps),
        "numba": in_numba(softmax_serial),
        "numba_parallel": in_chunks(softmax_parallel, lambda x, _out: len(x)),
        "cuda_naive": on_cuda(bind_rows, DeviceCode(function=softmax_cuda)),
        "cuda_shuffled": on_cuda(
            bind_warps,
            DeviceCode(function=softmax_shuffled_cuda, instructions=("shfl.sync.bfly.b32",)),
            simulated=False,
        ),
    },
)
