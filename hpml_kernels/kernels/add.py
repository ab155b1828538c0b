"""Elementwise addition of two float32 arrays: the plainest kernel that memory bounds."""

import numpy as np
from numba import prange

from hpml_kernels.checks import check_array, check_shape
from hpml_kernels.cpu import in_numba, in_parallel, interpreted, jit
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two arrays of ``size`` normal numbers."""
    return tuple(generator.standard_normal(size, dtype=np.float32) for _ in range(2))


def check(x: Array, y: Array) -> None:
    """Ask for two float32 arrays of one length."""
    check_array("x", x, np.float32)
    check_array("y", y, np.float32)
    check_shape("y", y, x.shape, "x")


def reference(x: Array, y: Array) -> Array:
    """Add in float64; rounded once, that is what a correct float32 addition gives, bit for bit."""
    total: Array = x.astype(np.float64) + y
    return total


def add_loop(x: Array, y: Array, out: Array) -> None:
    """Add one element after the other."""
    for i in range(np.uintp(out.size)):  # unsigned: a signed index is checked for wraparound
        out[i] = x[i] + y[i]


add_serial = jit()(add_loop)


@jit(parallel=True)
def add_parallel(x: Array, y: Array, out: Array) -> None:
    """Add on all cores."""
    for i in prange(out.size):
        out[i] = x[i] + y[i]


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
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=12 * size, flops=size),
    limit="copy",
    variants={
        "python": interpreted(add_loop),
        **on_numpy(lambda x, y, out: np.add(x, y, out=out)),
        **on_numexpr("x + y", "x", "y"),
        **on_torch(lambda torch, x, y, out: torch.add(x, y, out=out)),
        **on_cupy(lambda cupy, x, y, out: cupy.add(x, y, out=out)),
        "numba": in_numba(add_serial),
        "numba_parallel": in_parallel(add_parallel),
        "cuda_naive": by_element(add_cuda),
    },
)
