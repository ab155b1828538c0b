"""Sum of a float32 array, of positive numbers: a float32 total would stop growing at 2**24."""

import numpy as np
from numba.extending import register_jitable

from hpml_kernels.checks import check_vector
from hpml_kernels.cpu import scalar_out
from hpml_kernels.cuda import add_up_block, cuda, sum_by_blocks
from hpml_kernels.cuda_streaming import sum_of_one
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch, with_tolerance
from hpml_kernels.streaming import BLOCK, STEP, VECTORS, summing
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw ``size`` numbers, uniform in [0, 1)."""
    return (generator.random(size, dtype=np.float32),)


def reference(x: Array) -> Array:
    """Sum in float64, in pairs."""
    return np.array([x.sum(dtype=np.float64)])


@register_jitable
def same(x: Array) -> Array:
    """Return what is summed."""
    return x


def sum_numpy(x: Array, out: Array) -> None:
    """Sum in float32, in pairs."""
    out[0] = x.sum()


PEERS = {
    **on_numpy(sum_numpy),
    **on_numexpr("sum(x)", "x"),
    **on_torch(lambda torch, x, out: out.copy_(torch.sum(x))),
    **on_cupy(lambda cupy, x, out: out.fill(cupy.sum(x))),
}


@cuda.jit
def sum_cuda(x: Array, sums: Array) -> None:
    """Sum on the device: each thread its own elements, then each block sums its threads."""
    own = 0.0
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        own += np.float64(x[i])
    add_up_block(own, sums)


KERNEL = Kernel(
    name="sum",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda *_inputs: scalar_out(np.float64),
    check=check_vector,
    reference=reference,
    tolerance=Tolerance(of_largest=1e-7),
    worst_tolerance=Tolerance(of_largest=int(BLOCK // STEP + VECTORS) * 2.0**-24),
    work=lambda size: Work(bytes_moved=4 * size, flops=size),
    limit="read",
    variants={
        **summing(same),
        **with_tolerance(Tolerance(of_largest=1e-2), PEERS),  # they add up in float32
        "cuda_naive": sum_by_blocks(sum_cuda, "void(float32[::1], float64[::1])"),
        "cuda_shuffled": sum_of_one(same),
    },
)
