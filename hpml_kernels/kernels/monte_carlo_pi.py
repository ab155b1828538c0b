"""Monte Carlo pi: the share of random points in the unit square that fall in the quarter circle.

Sample i takes its point from one 64-bit word that depends on the seed and i alone (SplitMix64:
G. Steele, D. Lea, C. Flood, OOPSLA 2014): x is the upper half, y the lower. So every variant,
however parallel, counts the very same hits, and can be held to the reference exactly.
"""

import numpy as np
from numba import njit, prange

from hpml_kernels.cpu import bind_numba, in_parallel
from hpml_kernels.cuda import bind_cuda, blocks_for, cuda, on_cuda, to_device
from hpml_kernels.types import Array, Bound, Kernel, Variant

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: the generator's stride
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
LOW_HALF = np.uint64(0xFFFFFFFF)
SCALE = 2.0**-32
BLOCK = 2**14  # numpy works in blocks that stay in cache


def make_inputs(size: int, generator: np.random.Generator) -> tuple[int, ...]:
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
    return _estimate(hits_from(seed, 0, samples), samples)


def _estimate(hits: int, samples: int) -> Array:
    return np.array(4.0 * hits / samples)


_mix = njit(inline="always")(mix)
_device_mix = cuda.jit(device=True)(mix)


@njit(inline="always")
def is_hit(seed: np.uint64, index: np.uint64) -> bool:
    """Say whether sample ``index`` falls in the quarter circle."""
    word = _mix(seed + (index + np.uint64(1)) * GAMMA)
    x, y = (word >> np.uint64(32)) * SCALE, (word & LOW_HALF) * SCALE
    return bool(x * x + y * y < 1.0)


@njit
def pi_serial(samples: int, seed: np.uint64, hits: Array) -> None:
    """Count on one core."""
    count = 0
    for i in range(np.uint64(samples)):
        count += is_hit(seed, np.uint64(i))
    hits[0] = count


@njit(parallel=True)
def pi_parallel(samples: int, seed: np.uint64, hits: Array) -> None:
    """Count on all cores."""
    count = 0
    for i in prange(samples):
        count += is_hit(seed, np.uint64(i))
    hits[0] = count


def bind_numpy(samples: int, seed: int) -> Bound:
    """Bind the blocked numpy version."""
    hits = [0]

    def run() -> None:
        starts = range(0, samples, BLOCK)
        hits[0] = sum(hits_from(seed, at, min(at + BLOCK, samples)) for at in starts)

    return Bound(
        run=run,
        result=lambda: _estimate(hits[0], samples),
        effective=lambda: {"numpy": np.__version__},
    )


def bind_serial(samples: int, seed: int) -> Bound:
    """Bind the serial numba loop."""
    return _bind_numba(pi_serial, samples, seed)


def bind_parallel(samples: int, seed: int) -> Bound:
    """Bind the parallel numba loop."""
    return _bind_numba(pi_parallel, samples, seed)


def _bind_numba(function: object, samples: int, seed: int) -> Bound:
    hits = np.zeros(1, np.int64)
    return bind_numba(
        function, lambda: _estimate(int(hits[0]), samples), samples, np.uint64(seed), hits
    )


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


def bind_device(samples: int, seed: int) -> Bound:
    """Bind the CUDA kernel; the host adds up the blocks when it fetches the result."""
    hits = to_device(np.zeros(blocks_for(samples), np.int64))
    return bind_cuda(
        pi_cuda,
        blocks_for(samples),
        lambda: _estimate(int(hits.copy_to_host().sum()), samples),
        samples,
        np.uint64(seed),
        hits,
    )


KERNEL = Kernel(
    name="monte_carlo_pi",
    sizes={"tiny": 10**6, "small": 10**7, "paper": 10**8},
    make_inputs=make_inputs,
    reference=reference,
    tolerance=0.0,
    variants={
        "numpy": Variant(bind=bind_numpy),
        "numba": Variant(bind=bind_serial),
        "numba_parallel": in_parallel(bind_parallel),
        "cuda": on_cuda(bind_device),
    },
)
