"""Product of two float32 matrices: the kernel that arithmetic bounds.

On the CPU both matrices are packed into panels that the innermost loop
(:mod:`hpml_kernels.simd.matmul_tile`) reads in order: a block of the left matrix stays in the
second-level cache, a right panel passes through the first. Padding with zeros makes all panels
whole. Where they are packed is allocated once, as libraries do it: fresh memory costs a page fault
for every 4 KiB.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numba import get_num_threads, get_thread_id, prange

from hpml_kernels.checks import check_array
from hpml_kernels.cpu import aligned, in_parallel, interpreted, jit
from hpml_kernels.cuda import THREADS, bind_cuda, cuda, on_cuda, to_device
from hpml_kernels.matrices import sides
from hpml_kernels.peers import on_blas, on_cupy, on_torch
from hpml_kernels.simd.matmul_tile import COLUMNS, ROWS, add_tile
from hpml_kernels.thread_chunks import bind_chunks, count_nothing, count_work
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Variant, Work

DEPTH = 1024  # steps of depth in a block: fewer would pass over the result more often
BLOCK_ROWS = 4 * ROWS
TILE = 16  # squared, the threads of a CUDA block
SIDE, EACH, STEPS = 64, 4, 16  # of a block's tile, of a thread's part of it; of depth at a time
APART = SIDE // EACH
SHARED = ("ld.shared.f32", "bar.sync", "fma.rn.f32")


def depth_for(size: int) -> int:
    """Return the length of the sums: the side of a square number, other than both sides else."""
    side = math.isqrt(size)
    return side + size - side * side


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two matrices of numbers above zero, so that no sum cancels.

    The product has ``size`` elements or a few less.
    """
    (rows, columns), depth = sides(size), depth_for(size)
    shapes = (rows, depth), (depth, columns)
    return tuple(generator.random(shape, dtype=np.float32) for shape in shapes)


def make_out(a: Array, b: Array) -> Array:
    """Allocate the product."""
    return np.empty((a.shape[0], b.shape[1]), np.float32)


def check(a: Array, b: Array) -> None:
    """Ask for two float32 matrices that can be multiplied."""
    check_array("a", a, np.float32, ndim=2)
    check_array("b", b, np.float32, ndim=2)
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"b has {b.shape[0]} rows, not {a.shape[1]} as the columns of a ask for")


def reference(a: Array, b: Array) -> Array:
    """Multiply in float64."""
    product: Array = a.astype(np.float64) @ b.astype(np.float64)
    return product


def work(size: int) -> Work:
    """Count a multiplication and an addition per step of depth and element."""
    (rows, columns), depth = sides(size), depth_for(size)
    elements = rows * depth + depth * columns + rows * columns
    return Work(bytes_moved=4 * elements, flops=2 * rows * depth * columns)


def matmul_loop(a: Array, b: Array, out: Array) -> None:
    """Multiply as the definition says."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = sum(float(a[i, k]) * float(b[k, j]) for k in range(a.shape[1]))


@jit()
def pack_right(b: Array, top: int, panel: int, packed: Array) -> None:
    """Pack ``COLUMNS`` columns over a block of depth, one row after the other."""
    left = panel * COLUMNS
    width = min(COLUMNS, b.shape[1] - left)
    depth = min(DEPTH, b.shape[0] - top)
    rows = packed[panel * depth * COLUMNS :]
    for k in range(np.uintp(depth)):
        row, at = b[np.uintp(top) + k, left : left + width], k * np.uintp(COLUMNS)
        if width == COLUMNS:
            for j in range(np.uintp(COLUMNS)):  # of a known length: whole vectors
                rows[at + j] = row[j]
        else:
            for j in range(COLUMNS):
                rows[at + np.uintp(j)] = row[j] if j < width else np.float32(0)


@jit()
def pack_left(a: Array, first: int, top: int, packed: Array) -> None:
    """Pack ``ROWS`` rows over a block of depth, one column after the other."""
    depth = min(DEPTH, a.shape[1] - top)
    height = min(ROWS, a.shape[0] - first)
    for r in range(height):
        for k in range(depth):
            packed[k * ROWS + r] = a[first + r, top + k]
    for r in range(height, ROWS):
        for k in range(depth):
            packed[k * ROWS + r] = 0


@jit()
def add_edge(  # noqa: PLR0913  as add_tile
    left: Array, left_at: int, right: Array, right_at: int, depth: int, corner: Array
) -> None:
    """Add a tile that reaches over the edge of the result: computed whole, copied in part."""
    tile = np.zeros(ROWS * COLUMNS, np.float32)
    add_tile(left, left_at, right, right_at, depth, tile, 0, COLUMNS)
    for r in range(min(ROWS, corner.shape[0])):
        for j in range(min(COLUMNS, corner.shape[1])):
            corner[r, j] += tile[r * COLUMNS + j]


@jit()
def add_rows(  # noqa: PLR0913  matrices, where in them, and their panels
    a: Array, top: int, first: int, left: Array, right: Array, out: Array
) -> None:
    """Add a block of depth's part to ``BLOCK_ROWS`` rows of the result."""
    depth = min(DEPTH, a.shape[1] - top)
    last = min(first + BLOCK_ROWS, out.shape[0])
    columns = out.shape[1]
    for i in range(first, last, ROWS):
        pack_left(a, i, top, left[(i - first) * depth :])
    flat = out.reshape(-1)
    for j in range(0, columns, COLUMNS):
        for i in range(first, last, ROWS):
            left_at, right_at = (i - first) * depth, j * depth
            if i + ROWS <= last and j + COLUMNS <= columns:
                add_tile(left, left_at, right, right_at, depth, flat, i * columns + j, columns)
            else:
                add_edge(left, left_at, right, right_at, depth, out[i:last, j:])


def _multiplying(*, parallel: bool) -> Any:
    count = count_work if parallel else count_nothing

    def multiply(  # noqa: PLR0913  two matrices, where they are packed, and the product
        a: Array, b: Array, left: Array, right: Array, tally: Array, out: Array
    ) -> None:
        out[:] = 0
        for top in range(0, b.shape[0], DEPTH):
            for panel in prange((b.shape[1] + COLUMNS - 1) // COLUMNS):
                pack_right(b, top, panel, right)
            for block in prange((out.shape[0] + BLOCK_ROWS - 1) // BLOCK_ROWS):
                own = left[get_thread_id() if parallel else 0]
                add_rows(a, top, block * BLOCK_ROWS, own, right, out)
                count(tally, 1)

    return jit(parallel=parallel)(multiply)


def _bind(a: Array, b: Array, out: Array, *, parallel: bool) -> Bound:
    threads = get_num_threads() if parallel else 1
    depth = min(DEPTH, b.shape[0])
    left = aligned(threads * depth * BLOCK_ROWS, np.float32).reshape(threads, -1)
    right = aligned(depth * -(-b.shape[1] // COLUMNS) * COLUMNS, np.float32)
    function, blocks = PARALLEL if parallel else SERIAL, -(-out.shape[0] // BLOCK_ROWS)
    return bind_chunks(function, a, b, left, right, out, units=blocks, parallel=parallel)


SERIAL, PARALLEL = _multiplying(parallel=False), _multiplying(parallel=True)


@cuda.jit
def matmul_cuda(a: Array, b: Array, out: Array) -> None:
    """Multiply on the device: a thread for each element, all its operands from device memory."""
    rows, columns = out.shape
    at = cuda.grid(1)
    if at < rows * columns:
        i, j = at // columns, at % columns
        total = np.float32(0)
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        out[i, j] = total


@cuda.jit
def matmul_tiled_cuda(a: Array, b: Array, out: Array) -> None:
    """Multiply on the device: a block loads a tile of each matrix once, for all its threads."""
    a_tile = cuda.shared.array((TILE, TILE), np.float32)
    b_tile = cuda.shared.array((TILE, TILE), np.float32)
    across = (out.shape[1] + TILE - 1) // TILE
    y, x = cuda.threadIdx.x // TILE, cuda.threadIdx.x % TILE
    i = cuda.blockIdx.x // across * TILE + y
    j = cuda.blockIdx.x % across * TILE + x
    total = np.float32(0)
    for top in range(0, a.shape[1], TILE):
        a_inside = i < a.shape[0] and top + x < a.shape[1]
        b_inside = top + y < b.shape[0] and j < b.shape[1]
        a_tile[y, x] = a[i, top + x] if a_inside else np.float32(0)
        b_tile[y, x] = b[top + y, j] if b_inside else np.float32(0)
        cuda.syncthreads()
        for k in range(TILE):
            total += a_tile[y, k] * b_tile[k, x]
        cuda.syncthreads()
    if i < out.shape[0] and j < out.shape[1]:
        out[i, j] = total


@cuda.jit(device=True)
def load_tile(x: Array, top: int, first: int, tile: Array) -> None:
    """Load the tile of ``x`` at this row and column by all of a block's threads; zeros outside."""
    rows, columns = tile.shape
    for at in range(cuda.threadIdx.x, rows * columns, THREADS):
        i, j = at // columns, at % columns
        inside = top + i < x.shape[0] and first + j < x.shape[1]
        tile[i, j] = x[top + i, first + j] if inside else np.float32(0)


@cuda.jit
def matmul_registers_cuda(a: Array, b: Array, out: Array) -> None:
    """Multiply on the device: a thread keeps 4 by 4 elements of its block's 64 by 64 in registers.

    So a number that was read from shared memory is used four times. A thread's rows and columns
    are every sixteenth, by which a warp reads and writes numbers that lie side by side.
    """
    left = cuda.shared.array((SIDE, STEPS), np.float32)
    right = cuda.shared.array((STEPS, SIDE), np.float32)
    sums = cuda.local.array((EACH, EACH), np.float32)
    for i in range(EACH):
        for j in range(EACH):
            sums[i, j] = np.float32(0)
    across = (out.shape[1] + SIDE - 1) // SIDE
    top, first = cuda.blockIdx.x // across * SIDE, cuda.blockIdx.x % across * SIDE
    y, x = cuda.threadIdx.x // APART, cuda.threadIdx.x % APART
    for start in range(0, a.shape[1], STEPS):
        load_tile(a, top, start, left)
        load_tile(b, start, first, right)
        cuda.syncthreads()
        for k in range(STEPS):
            for i in range(EACH):
                for j in range(EACH):
                    sums[i, j] += left[y + i * APART, k] * right[k, x + j * APART]
        cuda.syncthreads()
    for i in range(EACH):
        for j in range(EACH):
            if top + y + i * APART < out.shape[0] and first + x + j * APART < out.shape[1]:
                out[top + y + i * APART, first + x + j * APART] = sums[i, j]


def by_tile(kernel: object, side: int, *instructions: str) -> Variant:
    """Make the variant that launches a kernel with a block for each ``side`` squared elements."""

    def bind(a: Array, b: Array, out: Array) -> Bound:
        tiles = math.prod(-(-length // side) for length in out.shape)
        arguments = to_device(a), to_device(b), to_device(out)
        return bind_cuda(kernel, tiles, arguments[-1], *arguments)

    return on_cuda(bind, DeviceCode(function=kernel, instructions=instructions))


KERNEL = Kernel(
    name="matmul",
    sizes={"tiny": 256**2, "small": 1024**2, "paper": 1536**2},
    make_inputs=make_inputs,
    make_out=make_out,
    check=check,
    reference=reference,
    tolerance=Tolerance(of_largest=5e-6),
    worst_tolerance=Tolerance(of_largest=DEPTH * 2.0**-24),
    work=work,
    limit="fma",
    variants={
        "python": replace(interpreted(matmul_loop), largest_size=100**2),
        **on_blas("numpy", lambda a, b, out: np.matmul(a, b, out=out)),
        **on_torch(lambda torch, a, b, out: torch.mm(a, b, out=out)),
        **on_cupy(lambda cupy, a, b, out: cupy.matmul(a, b, out=out)),
        "numba": Variant(bind=partial(_bind, parallel=False)),
        "numba_parallel": replace(in_parallel(PARALLEL), bind=partial(_bind, parallel=True)),
        "cuda_naive": by_tile(matmul_cuda, TILE, "fma.rn.f32"),
        "cuda_tiled": by_tile(matmul_tiled_cuda, TILE, *SHARED),
        "cuda_registers": by_tile(matmul_registers_cuda, SIDE, *SHARED),
    },
)
