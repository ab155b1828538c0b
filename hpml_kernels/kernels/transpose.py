"""Transpose of a float32 matrix: what is read in order must be written out of order.

On the CPU squares of 16 by 16 are turned in vector registers, so that whole cache lines are read
and written; strips of a few squares keep the pages that are written to at hand.
"""

import math
from dataclasses import replace

import numpy as np
from numba import prange

from hpml_kernels.cpu import (
    bind_numba,
    in_numba,
    in_parallel,
    interpreted,
    jit,
    last_cache_bytes,
)
from hpml_kernels.cuda import bind_cuda, by_element, cuda, on_cuda, to_device
from hpml_kernels.matrices import check_matrix, make_matrix, sides
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.simd.transpose_tile import SIDE, transpose_tile, transpose_tile_past_caches
from hpml_kernels.simd.vectors import BYTES
from hpml_kernels.thread_chunks import bind_chunks, chunk_bounds, count_work
from hpml_kernels.types import Array, Bound, DeviceCode, Kernel, Tolerance, Work

STRIP_ROWS, STRIP_COLUMNS = 8 * SIDE, 16 * SIDE
TILE, TILE_ROWS = 32, 8  # a CUDA block's threads: each copies four elements of a tile
PADDED = TILE + 1


def work(size: int) -> Work:
    """Count a read and a write of each element."""
    rows, columns = sides(size)
    return Work(bytes_moved=8 * rows * columns)


def make_out(x: Array) -> Array:
    """Allocate the result from a multiple of 64 bytes, without which no vector fills a line."""
    room = np.empty(x.size + BYTES // x.itemsize, x.dtype)
    first = -room.ctypes.data % BYTES // x.itemsize
    return room[first : first + x.size].reshape(x.shape[::-1])


def transpose_loop(x: Array, out: Array) -> None:
    """Copy one element after the other."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j, i] = x[i, j]


@jit()
def transpose_strip(  # noqa: PLR0913  a corner, an edge, and how
    x: Array,
    top: int,
    left: int,
    edge: int,
    out: Array,
    past_caches: bool,  # noqa: FBT001
) -> None:
    """Transpose what lies within a strip from a corner on, up to the column ``edge``."""
    rows, columns = x.shape
    bottom, right = min(top + STRIP_ROWS, rows), min(left + STRIP_COLUMNS, edge)
    whole_bottom = bottom - (bottom - top) % SIDE
    whole_right = right - (right - left) % SIDE
    source, target = x.reshape(-1), out.reshape(-1)
    for i in range(top, whole_bottom, SIDE):
        for j in range(left, whole_right, SIDE):  # along rows, as the processor fetches ahead
            at, to = i * columns + j, j * rows + i
            if past_caches:
                transpose_tile_past_caches(source, at, columns, target, to, rows)
            else:
                transpose_tile(source, at, columns, target, to, rows)
    for i in range(top, bottom):
        for j in range(left if i >= whole_bottom else whole_right, right):
            out[j, i] = x[i, j]


@jit()
def transpose_serial(x: Array, past_caches: bool, out: Array) -> None:  # noqa: FBT001
    """Transpose on one core."""
    for top in range(0, x.shape[0], STRIP_ROWS):
        for left in range(0, x.shape[1], STRIP_COLUMNS):
            transpose_strip(x, top, left, x.shape[1], out, past_caches)


@jit(parallel=True)
def transpose_parallel(x: Array, past_caches: bool, tally: Array, out: Array) -> None:  # noqa: FBT001
    """Transpose on all cores, each its own rows of the result, in whole tiles."""
    tiles = np.uintp((x.shape[1] + SIDE - 1) // SIDE)
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(tiles, tally.shape[0], chunk)
        edge = min(np.intp(last) * SIDE, x.shape[1])
        for left in range(np.intp(first) * SIDE, edge, STRIP_COLUMNS):
            for top in range(0, x.shape[0], STRIP_ROWS):
                transpose_strip(x, top, left, edge, out, past_caches)
        count_work(tally, last - first)


def goes_past_caches(x: Array, out: Array) -> bool:
    """Whether to write past the caches: what does not fit them, in whole aligned lines."""
    is_aligned = out.ctypes.data % BYTES == 0 and x.shape[0] * x.itemsize % BYTES == 0
    return is_aligned and 2 * x.nbytes > last_cache_bytes()


def bind_serial(x: Array, out: Array) -> Bound:
    """Bind the function for one core."""
    x = np.ascontiguousarray(x)
    return bind_numba(transpose_serial, x, goes_past_caches(x, out), out)


def bind_parallel(x: Array, out: Array) -> Bound:
    """Bind the function for all cores."""
    x = np.ascontiguousarray(x)
    tiles = -(-x.shape[1] // SIDE)
    return bind_chunks(transpose_parallel, x, goes_past_caches(x, out), out, units=tiles)


@cuda.jit
def transpose_cuda(x: Array, out: Array) -> None:
    """Transpose on the device: reads lie side by side, writes far apart."""
    columns = x.shape[1]
    for at in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        out[at % columns, at // columns] = x[at // columns, at % columns]


@cuda.jit
def transpose_tiled_cuda(x: Array, out: Array) -> None:
    """Transpose on the device through a tile in shared memory, with reads and writes side by side.

    A row of the tile is one longer than it is used: a column lies in all banks, not in one.
    """
    tile = cuda.shared.array((TILE, PADDED), np.float32)
    across = (x.shape[1] + TILE - 1) // TILE
    top, left = cuda.blockIdx.x // across * TILE, cuda.blockIdx.x % across * TILE
    lane, first = cuda.threadIdx.x % TILE, cuda.threadIdx.x // TILE
    for row in range(first, TILE, TILE_ROWS):
        if top + row < x.shape[0] and left + lane < x.shape[1]:
            tile[row, lane] = x[top + row, left + lane]
    cuda.syncthreads()
    for row in range(first, TILE, TILE_ROWS):
        if left + row < x.shape[1] and top + lane < x.shape[0]:
            out[left + row, top + lane] = tile[lane, row]


def bind_tiled(x: Array, out: Array) -> Bound:
    """Bind the tiled kernel, a block for each tile."""
    tiles = math.prod(-(-side // TILE) for side in x.shape)
    arguments = to_device(x), to_device(out)
    return bind_cuda(transpose_tiled_cuda, tiles, arguments[-1], *arguments)


KERNEL = Kernel(
    name="transpose",
    sizes={"tiny": 256**2, "small": 2048**2, "paper": 8192**2},
    make_inputs=make_matrix,
    make_out=make_out,
    check=check_matrix,
    reference=lambda x: x.T,
    tolerance=Tolerance(),
    work=work,
    limit="copy",
    variants={
        "python": interpreted(transpose_loop),
        **on_numpy(lambda x, out: np.copyto(out, x.T)),
        **on_torch(lambda _torch, x, out: out.copy_(x.T)),
        **on_cupy(lambda cupy, x, out: cupy.copyto(out, x.T)),
        "numba": replace(in_numba(transpose_serial), bind=bind_serial),
        "numba_parallel": replace(in_parallel(transpose_parallel), bind=bind_parallel),
        "cuda_naive": by_element(transpose_cuda),
        "cuda_tiled": on_cuda(
            bind_tiled,
            DeviceCode(
                function=transpose_tiled_cuda,
                instructions=("ld.shared.f32", "st.shared.f32", "bar.sync"),
            ),
        ),
    },
)
