"""Monte Carlo pi: the share of random points in the unit square that fall in the quarter circle.

Sample i takes its point from one 64-bit word that depends on the seed and i alone (SplitMix64:
G. Steele, D. Lea, C. Flood, OOPSLA 2014): x is the upper half, y the lower. So every variant,
however parallel, counts the very same hits, and can be held to the reference exactly.
"""

import numpy as np
from numba import prange

from hpml_kernels.checks import check_count
from hpml_kernels.cpu import in_numba, in_parallel, jit, scalar_out
from hpml_kernels.cuda import bind_cuda, blocks_for, cuda, on_cuda, to_device
from hpml_kernels.peers import on_numpy
from hpml_kernels.types import Array, Bound, Inputs, Kernel, Tolerance, Work

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: the generator's stride
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
LOW_HALF = np.uint64(0xFFFFFFFF)
SCALE = 2.0**-32
BLOCK = 2**14  # numpy works in blocks that stay in cache


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a seed; ``size`` is the number of samples."""
    return size, int(generator.integers(2**63))


def mix(word: "Array | np.uint64") -> "Array | np.uint64":
    """SplitMix64's finalizer, on one word or an array of them."""
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


def hits_from(seed: int, first: int, last: int) -> int:
    """Count the hits of samples ``first`` to ``last`` (not included) with numpy."""
    counters = np.arange(first + 1, last + 1, dtype=np.uint64)
    words = mix(np.uint64(seed) + counters * GAMMA)
    x, y = (words >> np.uint64(32)) * SCALE, (words & LOW_HALF) * SCALE
    return int(np.count_nonzero(x * x + y * y < 1.0))


def reference(samples: int, seed: int) -> Array:
    """Estimate pi from all samples at once."""
    return np.array([4.0 * hits_from(seed, 0, samples) / samples])


def check(samples: int, seed: int) -> None:
    """Ask for at least one sample, and a seed of 64 bits."""
    check_count("samples", samples)
    check_count("seed", seed, least=0)


_mix = jit(inline="always")(mix)
_device_mix = cuda.jit(device=True)(mix)


@jit(inline="always")
def is_hit(seed: np.uint64, index: np.uint64) -> bool:
    """Say whether sample ``index`` falls in the quarter circle."""
    word = _mix(seed + (index + np.uint64(1)) * GAMMA)
    x, y = (word >> np.uint64(32)) * SCALE, (word & LOW_HALF) * SCALE
    return bool(x * x + y * y < 1.0)


@jit()
def pi_serial(samples: int, seed: int, out: Array) -> None:
    """Count on one core."""
    count = 0
    for i in range(np.uint64(samples)):
        count += is_hit(np.uint64(seed), np.uint64(i))
    out[0] = 4.0 * count / samples


@jit(parallel=True)
def pi_parallel(samples: int, seed: int, out: Array) -> None:
    """Count on all cores."""
    count = 0
    for i in prange(samples):
        count += is_hit(np.uint64(seed), np.uint64(i))
    out[0] = 4.0 * count / samples


def pi_numpy(samples: int, seed: int, out: Array) -> None:
    """Count in blocks."""
    starts = range(0, samples, BLOCK)
    hits = sum(hits_from(seed, at, min(at + BLOCK, samples)) for at in starts)
    out[0] = 4.0 * hits / samples


@cuda.jit
def pi_cuda(samples: int, seed: np.uint64, hits_by_block: Array) -> None:
    """Count on the device: each thread its own samples, then each block sums its threads."""
    block_hits = cuda.shared.array(1, np.int64)
    if cuda.threadIdx.x == 0:
        block_hits[0] = 0
    cuda.syncthreads()
    count = 0
    for i in range(cuda.grid(1), samples, cuda.gridsize(1)):
        word = _device_mix(seed + np.uint64(i + 1) * GAMMA)
        x, y = (word >> np.uint64(32)) * SCALE, (word & LOW_HALF) * SCALE
        if x * x + y * y < 1.0:
            count += 1
    cuda.atomic.add(block_hits, 0, count)
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        hits_by_block[cuda.blockIdx.x] = block_hits[0]


def bind_device(samples: int, seed: int, _out: Array) -> Bound:
    """Bind the CUDA kernel; the host adds up the blocks when it fetches the result."""
    hits = to_device(np.zeros(blocks_for(samples), np.int64))
    return bind_cuda(
        pi_cuda,
        blocks_for(samples),
        lambda: np.array([4.0 * hits.copy_to_host().sum() / samples]),
        samples,
        np.uint64(seed),
        hits,
    )


KERNEL = Kernel(
    name="monte_carlo_pi",
    sizes={"tiny": 10**6, "small": 10**7, "paper": 10**8},
    make_inputs=make_inputs,
    make_out=lambda _samples, _seed: scalar_out(np.float64),
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=0, integer_ops=5 * size),
    limit="integer",
    variants={
        **on_numpy(pi_numpy),
        "numba": in_numba(pi_serial),
        "numba_parallel": in_parallel(pi_parallel),
        "cuda_naive": on_cuda(bind_device),
    },
)
