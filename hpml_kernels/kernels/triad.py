"""Triad of the STREAM benchmark: ``x + a * y`` into a third array."""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.checks import check_scaled_pair
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.cuda_streaming import of_scaled
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.streaming import elementwise
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a number and two arrays of ``size`` normal numbers."""
    x, y = (generator.standard_normal(size, dtype=np.float32) for _ in range(2))
    return np.float32(0.5), x, y


def reference(a: float, x: Array, y: Array) -> Array:
    """Compute in float64."""
    total: Array = x + np.float64(np.float32(a)) * y
    return total


@register_jitable
def triad(a: Array, x: Array, y: Array) -> Array:
    """Multiply, round, add, round: no fused operation, so that all variants may agree."""
    total: Array = x + a * y
    return total


def triad_numpy(a: float, x: Array, y: Array, out: Array) -> None:
    """Compute in two passes, without a temporary array."""
    np.multiply(y, a, out=out)
    np.add(x, out, out=out)


def triad_cupy(cupy: Any, a: float, x: Array, y: Array, out: Array) -> None:
    """Compute in two passes, without a temporary array."""
    cupy.multiply(y, a, out=out)
    cupy.add(x, out, out=out)


@cuda.jit
def triad_cuda(a: float, x: Array, y: Array, out: Array) -> None:
    """Compute on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = x[i] + np.float32(a) * y[i]


KERNEL = Kernel(
    name="triad",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda _a, x, _y: np.empty_like(x),
    check=check_scaled_pair,
    reference=reference,
    tolerance=Tolerance(of_largest=2.0**-23),  # some peers fuse the operations, some do not
    work=lambda size: Work(bytes_moved=12 * size, flops=2 * size),
    limit="combine",
    variants={
        **elementwise(triad),
        **on_numpy(triad_numpy),
        **on_numexpr("x + a * y", "a", "x", "y"),
        **on_torch(lambda torch, a, x, y, out: torch.add(x, y, alpha=a, out=out)),
        **on_cupy(triad_cupy),
        "cuda_naive": by_element(triad_cuda),
        "cuda_vectors": of_scaled(triad),
    },
)
