"""Elementwise addition of two float32 arrays: the plainest kernel that memory bounds."""

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.checks import check_pair
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.streaming import elementwise
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two arrays of ``size`` normal numbers."""
    return tuple(generator.standard_normal(size, dtype=np.float32) for _ in range(2))


def reference(x: Array, y: Array) -> Array:
    """Add in float64; rounded once, that is what a correct float32 addition gives, bit for bit."""
    total: Array = x.astype(np.float64) + y
    return total


@register_jitable
def add(x: Array, y: Array) -> Array:
    """Add two numbers, or two vectors."""
    return x + y


@cuda.jit
def add_cuda(x: Array, y: Array, out: Array) -> None:
    """Add on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = x[i] + y[i]


KERNEL = Kernel(
    name="add",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda x, _y: np.empty_like(x),
    check=check_pair,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=12 * size, flops=size),
    limit="combine",
    variants={
        **elementwise(add),
        **on_numpy(lambda x, y, out: np.add(x, y, out=out)),
        **on_numexpr("x + y", "x", "y"),
        **on_torch(lambda torch, x, y, out: torch.add(x, y, out=out)),
        **on_cupy(lambda cupy, x, y, out: cupy.add(x, y, out=out)),
        "cuda_naive": by_element(add_cuda),
    },
)
