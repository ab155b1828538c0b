"""Addition of two float32 matrices: the same work as ``add`` in two dimensions.

On the CPU contiguous matrices are one long row; on CUDA a thread finds its row and column.
"""

from dataclasses import replace

import numpy as np

from hpml_kernels.checks import check_array, check_shape
from hpml_kernels.cuda import (
    MAX_BLOCKS,
    WARP,
    WARPS,
    bind_cuda,
    by_element,
    cuda,
    on_cuda,
    to_device,
)
from hpml_kernels.cuda_streaming import of_two
from hpml_kernels.kernels.add import add
from hpml_kernels.matrices import sides
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.streaming import elementwise
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Variant, Work

TILE = WARPS, WARP  # rows and columns of a CUDA block


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two matrices of normal numbers."""
    return tuple(generator.standard_normal(sides(size), dtype=np.float32) for _ in range(2))


def check(x: Array, y: Array) -> None:
    """Ask for two float32 matrices of one shape."""
    check_array("x", x, np.float32, ndim=2)
    check_array("y", y, np.float32, ndim=2)
    check_shape("y", y, x.shape, "x")


def reference(x: Array, y: Array) -> Array:
    """Add in float64."""
    total: Array = x.astype(np.float64) + y
    return total


def work(size: int) -> Work:
    """Count two reads and a write of each element."""
    rows, columns = sides(size)
    return Work(bytes_moved=12 * rows * columns, flops=rows * columns)


def flat(variant: Variant) -> Variant:
    """Make a variant for arrays one for matrices, whose rows it gets as one; ``out`` as well."""

    def bind(*arguments: Array) -> Bound:
        *inputs, out = arguments
        bound = variant.bind(*(one.reshape(-1) for one in inputs), out.reshape(-1))
        return replace(
            bound,
            result=lambda: bound.result().reshape(out.shape),
            overwrite=lambda values: bound.overwrite(values.reshape(-1)),
        )

    return replace(variant, bind=bind, codes=())


@cuda.jit
def add_2d_cuda(x: Array, y: Array, out: Array) -> None:
    """Add on the device: a thread walks rows and columns by the size of the grid."""
    columns = out.shape[1]
    for at in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        i, j = at // columns, at % columns
        out[i, j] = x[i, j] + y[i, j]


@cuda.jit
def add_2d_grid_cuda(x: Array, y: Array, out: Array) -> None:
    """Add on the device: a grid of rows and columns; where the grid ends before the rows, on."""
    j, first = cuda.grid(2)  # j runs along a row, so that a warp's elements lie side by side
    if j < out.shape[1]:
        for i in range(first, out.shape[0], cuda.gridsize(2)[1]):
            out[i, j] = x[i, j] + y[i, j]


def bind_grid(x: Array, y: Array, out: Array) -> Bound:
    """Bind the kernel with a block for each tile of 8 rows and 32 columns."""
    height, width = TILE
    blocks = -(-out.shape[1] // width), min(MAX_BLOCKS, -(-out.shape[0] // height))
    arguments = tuple(map(to_device, (x, y, out)))
    return bind_cuda(add_2d_grid_cuda, blocks, arguments[-1], *arguments, threads=(width, height))


KERNEL = Kernel(
    name="add_2d",
    sizes={"tiny": 256**2, "small": 4096**2, "paper": 8192**2},
    make_inputs=make_inputs,
    make_out=lambda x, _y: np.empty_like(x),
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=work,
    limit="combine",
    variants={
        **{name: flat(variant) for name, variant in elementwise(add).items()},
        **on_numpy(lambda x, y, out: np.add(x, y, out=out)),
        **on_numexpr("x + y", "x", "y"),
        **on_torch(lambda torch, x, y, out: torch.add(x, y, out=out)),
        **on_cupy(lambda cupy, x, y, out: cupy.add(x, y, out=out)),
        "cuda_naive": by_element(add_2d_cuda),
        "cuda_2d": on_cuda(bind_grid, DeviceCode(function=add_2d_grid_cuda)),
        "cuda_vectors": flat(of_two(add)),
    },
)
