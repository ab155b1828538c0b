"""Dot product of two float32 arrays of positive numbers."""

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.checks import check_pair
from hpml_kernels.cpu import scalar_out
from hpml_kernels.cuda import add_up_block, cuda, sum_by_blocks
from hpml_kernels.cuda_streaming import sum_of_two
from hpml_kernels.peers import on_blas, on_cupy, on_torch, with_tolerance
from hpml_kernels.streaming import BLOCK, STEP, VECTORS, summing
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two arrays of ``size`` numbers, uniform in [0, 1)."""
    return tuple(generator.random(size, dtype=np.float32) for _ in range(2))


def reference(x: Array, y: Array) -> Array:
    """Multiply and sum in float64."""
    return np.array([x.astype(np.float64) @ y.astype(np.float64)])


@register_jitable
def product(x: Array, y: Array) -> Array:
    """Return what is summed."""
    return x * y


def dot_numpy(x: Array, y: Array, out: Array) -> None:
    """Call the BLAS."""
    out[0] = np.dot(x, y)


PEERS = {  # not numexpr, whose float32 total is 2 % off at 16 Mi elements
    **on_blas("numpy", dot_numpy),
    **on_torch(lambda torch, x, y, out: out.copy_(torch.dot(x, y))),
    **on_cupy(lambda cupy, x, y, out: out.fill(cupy.dot(x, y))),
}


@cuda.jit
def dot_cuda(x: Array, y: Array, sums: Array) -> None:
    """Sum on the device: each thread its own elements, then each block sums its threads."""
    own = 0.0
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        own += np.float64(x[i] * y[i])
    add_up_block(own, sums)


KERNEL = Kernel(
    name="dot",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda *_inputs: scalar_out(np.float64),
    check=check_pair,
    reference=reference,
    tolerance=Tolerance(of_largest=1e-7),
    worst_tolerance=Tolerance(of_largest=int(BLOCK // STEP + VECTORS) * 2.0**-24),
    work=lambda size: Work(bytes_moved=8 * size, flops=2 * size),
    limit="read",
    variants={
        **summing(product),
        **with_tolerance(Tolerance(of_largest=1e-2), PEERS),  # they add up in float32
        "cuda_naive": sum_by_blocks(dot_cuda, "void(float32[::1], float32[::1], float64[::1])"),
        "cuda_shuffled": sum_of_two(product),
    },
)
