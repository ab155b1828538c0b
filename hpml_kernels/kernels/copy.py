"""Copy of a float32 array: as many bytes written as read, and no arithmetic."""

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.checks import check_vector
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.cuda_streaming import of_one
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.streaming import elementwise
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw an array of ``size`` normal numbers."""
    return (generator.standard_normal(size, dtype=np.float32),)


def reference(x: Array) -> Array:
    """Return the very same numbers."""
    return x


@register_jitable
def same(x: Array) -> Array:
    """Return what was read."""
    return x


@cuda.jit
def copy_cuda(x: Array, out: Array) -> None:
    """Copy on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = x[i]


KERNEL = Kernel(
    name="copy",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=np.empty_like,
    check=check_vector,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=8 * size),
    limit="copy",
    variants={
        **elementwise(same),
        **on_numpy(lambda x, out: np.copyto(out, x)),
        **on_numexpr("x", "x"),
        **on_torch(lambda _torch, x, out: out.copy_(x)),
        **on_cupy(lambda cupy, x, out: cupy.copyto(out, x)),
        "cuda_naive": by_element(copy_cuda),
        "cuda_vectors": of_one(same),
    },
)
