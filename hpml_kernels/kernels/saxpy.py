"""Saxpy of the BLAS: ``a * x`` added to ``y``, where it lies."""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.checks import check_scaled_pair
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.cuda_streaming import of_scaled
from hpml_kernels.peers import on_blas, on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.streaming import elementwise
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work

BLOCK = 2**16


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a number and two arrays of ``size`` normal numbers."""
    x, y = (generator.standard_normal(size, dtype=np.float32) for _ in range(2))
    return np.float32(0.5), x, y


def reference(a: float, x: Array, y: Array) -> Array:
    """Compute in float64."""
    total: Array = np.float64(np.float32(a)) * x + y
    return total


@register_jitable
def saxpy(a: Array, x: Array, y: Array) -> Array:
    """Multiply, round, add, round: no fused operation, so that all variants may agree."""
    return a * x + y


def saxpy_numpy(a: float, x: Array, _y: Array, out: Array) -> None:
    """Compute in blocks that stay in cache, so that no temporary array passes through memory."""
    room = np.empty(BLOCK, np.float32)
    for at in range(0, x.size, BLOCK):
        block = out[at : at + BLOCK]
        block += np.multiply(x[at : at + BLOCK], np.float32(a), out=room[: block.size])


def saxpy_scipy(a: float, x: Array, _y: Array, out: Array) -> None:
    """Call the BLAS, which updates ``out`` where it lies if that is contiguous."""
    from scipy.linalg.blas import saxpy

    updated = saxpy(x, out, a=a)
    if not np.may_share_memory(updated, out):
        out[...] = updated


def saxpy_cupy(_cupy: Any, a: float, x: Array, _y: Array, out: Array) -> None:
    """Compute in two passes, through a temporary array."""
    out += a * x


@cuda.jit
def saxpy_cuda(a: float, x: Array, _y: Array, out: Array) -> None:
    """Compute on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = np.float32(a) * x[i] + out[i]


KERNEL = Kernel(
    name="saxpy",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda _a, _x, y: y.copy(),
    check=check_scaled_pair,
    reference=reference,
    tolerance=Tolerance(of_largest=2.0**-23),  # some peers fuse the operations, some do not
    work=lambda size: Work(bytes_moved=12 * size, flops=2 * size),
    limit="accumulate",
    variants={
        **elementwise(saxpy, updates=True),
        **on_numpy(saxpy_numpy),
        **on_blas("scipy", saxpy_scipy),
        **on_numexpr("a * x + out", "a", "x", "y", "out"),
        **on_torch(lambda _torch, a, x, _y, out: out.add_(x, alpha=a)),
        **on_cupy(saxpy_cupy),
        "cuda_naive": by_element(saxpy_cuda),
        "cuda_vectors": of_scaled(saxpy, updates=True),
    },
    in_place=True,
)
