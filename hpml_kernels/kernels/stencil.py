"""Five-point stencil on a float32 matrix: a step of Jacobi's iteration for Laplace's equation.

Each inner element becomes the mean of its four neighbours; the border stays as it is. Three rows
fit the caches, so each element need be read from memory once only.
"""

from typing import Any

import numpy as np
from numba import prange

from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.matrices import check_matrix, make_matrix, sides
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Kernel, Tolerance, Work

QUARTER = np.float32(0.25)


def work(size: int) -> Work:
    """Count a read and a write, three additions and a product for each element."""
    rows, columns = sides(size)
    return Work(bytes_moved=8 * rows * columns, flops=4 * rows * columns)


def reference(x: Array) -> Array:
    """Compute in float64."""
    mean = x.astype(np.float64)
    mean[1:-1, 1:-1] = 0.25 * (mean[:-2, 1:-1] + mean[2:, 1:-1] + mean[1:-1, :-2] + mean[1:-1, 2:])
    return mean


def stencil_loop(x: Array, out: Array) -> None:
    """Compute one element after the other."""
    out[:] = x
    for i in range(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            neighbours = x[i - 1, j] + x[i + 1, j] + (x[i, j - 1] + x[i, j + 1])
            out[i, j] = QUARTER * neighbours


@jit()
def stencil_row(above: Array, row: Array, below: Array, out: Array) -> None:
    """Compute a row between two others."""
    last = row.size - 1
    out[0], out[last] = row[0], row[last]
    left, right, inner = row[:-2], row[2:], out[1:-1]
    upper, lower = above[1:-1], below[1:-1]
    for j in range(np.uintp(inner.size)):
        inner[j] = QUARTER * ((upper[j] + lower[j]) + (left[j] + right[j]))


@jit()
def stencil_rows(x: Array, first: Any, last: Any, out: Array) -> None:
    """Compute some rows, none of which is on the border."""
    for i in range(first, last):
        stencil_row(x[i - 1], x[i], x[i + 1], out[i])


@jit()
def stencil_serial(x: Array, out: Array) -> None:
    """Compute on one core."""
    out[0], out[-1] = x[0], x[-1]
    stencil_rows(x, 1, x.shape[0] - 1, out)


@jit(parallel=True)
def stencil_parallel(x: Array, tally: Array, out: Array) -> None:
    """Compute on all cores, each its own rows."""
    out[0], out[-1] = x[0], x[-1]
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(np.uintp(max(0, x.shape[0] - 2)), tally.shape[0], chunk)
        stencil_rows(x, np.intp(first) + 1, np.intp(last) + 1, out)
        count_work(tally, last - first)


def stencil_steps(library: Any, x: Any, out: Any) -> None:
    """Compute in ``out``, step by step, with numpy or CuPy."""
    out[...] = x
    inner = out[1:-1, 1:-1]
    library.add(x[:-2, 1:-1], x[2:, 1:-1], out=inner)
    inner += x[1:-1, :-2]
    inner += x[1:-1, 2:]
    inner *= QUARTER


def stencil_torch(torch: Any, x: Any, out: Any) -> None:
    """Compute in ``out``, step by step."""
    out.copy_(x)
    inner = out[1:-1, 1:-1]
    torch.add(x[:-2, 1:-1], x[2:, 1:-1], out=inner)
    inner.add_(x[1:-1, :-2]).add_(x[1:-1, 2:]).mul_(float(QUARTER))


@cuda.jit
def stencil_cuda(x: Array, out: Array) -> None:
    """Compute on the device: each thread walks the elements by the size of the grid."""
    rows, columns = x.shape
    for at in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        i, j = at // columns, at % columns
        if 0 < i < rows - 1 and 0 < j < columns - 1:
            neighbours = (x[i - 1, j] + x[i + 1, j]) + (x[i, j - 1] + x[i, j + 1])
            out[i, j] = QUARTER * neighbours
        else:
            out[i, j] = x[i, j]


KERNEL = Kernel(
    name="stencil",
    sizes={"tiny": 256**2, "small": 4096**2, "paper": 8192**2},
    make_inputs=make_matrix,
    make_out=np.empty_like,
    check=check_matrix,
    reference=reference,
    tolerance=Tolerance(of_largest=2e-7),  # three roundings of sums up to four times as large
    work=work,
    limit="copy",
    variants={
        "python": interpreted(stencil_loop),
        **on_numpy(lambda x, out: stencil_steps(np, x, out)),
        **on_torch(stencil_torch),
        **on_cupy(stencil_steps),
        "numba": in_numba(stencil_serial),
        "numba_parallel": in_chunks(stencil_parallel, lambda x, _out: max(1, len(x) - 2)),
        "cuda_naive": by_element(stencil_cuda),
    },
)
