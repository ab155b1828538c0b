"""Monte Carlo pi: the share of random points in a square that fall in the circle within.

A 64-bit word is two points (:mod:`hpml_kernels.simd.circle_test`). The words come from
xoroshiro128+ (D. Blackman, S. Vigna, ACM TOMS 47(4), 2021), of which 128 run side by side as lanes;
each ``CHUNK`` of samples has lanes of its own, started by SplitMix64 (G. Steele, D. Lea, C. Flood,
OOPSLA 2014) from the seed and the chunk's number. So every variant of ours, however parallel,
counts the very same hits, and is held to the reference exactly.

The compiled loops keep a group of lanes in registers until a chunk is over: four vectors, because
each waits for its own turn before.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numba import get_num_threads, prange
from numba.extending import register_jitable

from hpml_kernels.checks import check_count
from hpml_kernels.cpu import aligned, in_parallel, jit, scalar_out
from hpml_kernels.cuda import THREADS, bind_cuda, cuda, on_cuda, to_device
from hpml_kernels.peers import on_numpy, on_torch, with_own_random_numbers
from hpml_kernels.simd.circle_test import IN_WORD, OPERATIONS, RADIUS_SQUARED, is_hit, misses_in
from hpml_kernels.simd.vectors import load, splat, store, total
from hpml_kernels.thread_chunks import bind_chunks, count_nothing, count_work
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Variant, Work

# SplitMix64's stride: 2^64 over the golden ratio
GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
LANES, TURNS = 128, 512
CHUNK = LANES * TURNS * IN_WORD  # samples
VECTOR, TWO, THREE, GROUP = np.uintp(8), np.uintp(16), np.uintp(24), np.uintp(32)  # lanes
BLOCK, TORCH_BLOCK = 2**14, 2**16  # peers work in blocks that stay in cache


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a seed; ``size`` is the number of samples."""
    return size, int(generator.integers(2**63))


def check(samples: int, seed: int) -> None:
    """Ask for at least one sample, and a seed that is not negative."""
    check_count("samples", samples)
    check_count("seed", seed, least=0)


def mix(word: Any) -> Any:
    """SplitMix64's finalizer, on one word or an array of them."""
    word = (word ^ (word >> np.uint64(30))) * FIRST
    word = (word ^ (word >> np.uint64(27))) * SECOND
    return word ^ (word >> np.uint64(31))


def rotated(word: Any, bits: Any) -> Any:
    """Rotate 64 bits to the left."""
    return (word << bits) | (word >> (np.uint64(64) - bits))


def after(s0: Any, s1: Any) -> Any:
    """Return xoroshiro128+'s next state."""
    s1 = s1 ^ s0
    return rotated(s0, np.uint64(24)) ^ s1 ^ (s1 << np.uint64(16)), rotated(s1, np.uint64(37))


def reference(samples: int, seed: int) -> Array:
    """Estimate pi with numpy: all lanes of all chunks step together."""
    return np.array([4.0 * sum(_hits_by_turn(samples, seed)) / samples])


def _hits_by_turn(samples: int, seed: int) -> Iterator[int]:
    lanes = -(-samples // CHUNK) * LANES
    counters = np.arange(1, 2 * lanes + 1, dtype=np.uint64)
    s0, s1 = mix(np.uint64(seed) + counters * GAMMA).reshape(-1, 2).T.copy()
    chunk, lane = np.divmod(np.arange(lanes), LANES)
    for turn in range(TURNS):
        for number in range(IN_WORD):
            asked = chunk * CHUNK + (turn * LANES + lane) * IN_WORD + number < samples
            yield int(np.count_nonzero(is_hit(s0 + s1, number) & asked))
        s0, s1 = after(s0, s1)


# numba resolves what a function calls by name, so the names must stay those of plain Python.
for _plain in (mix, rotated, after):
    register_jitable(_plain)


@register_jitable
def state_at(s0: Array, s1: Array, lane: Any) -> Any:
    """Read the states of a vector's lanes."""
    return load(s0, lane), load(s1, lane)


@register_jitable
def keep(s0: Array, s1: Array, lane: Any, state: Any) -> None:
    """Write them back."""
    store(s0, lane, state[0])
    store(s1, lane, state[1])


@register_jitable
def walk(s0: Array, s1: Array, lane: Any, turns: int) -> Any:
    """Let a group of lanes take turns; count their hits."""
    second, third, fourth = lane + VECTOR, lane + TWO, lane + THREE
    a, b = state_at(s0, s1, lane), state_at(s0, s1, second)
    c, d = state_at(s0, s1, third), state_at(s0, s1, fourth)
    misses = splat(np.uint32(0))
    for _ in range(turns):
        misses = misses + (misses_in(a[0] + a[1]) + misses_in(b[0] + b[1]))
        misses = misses + (misses_in(c[0] + c[1]) + misses_in(d[0] + d[1]))
        a, b, c, d = after(*a), after(*b), after(*c), after(*d)
    for at, state in ((lane, a), (second, b), (third, c), (fourth, d)):
        keep(s0, s1, at, state)
    return turns * np.int64(GROUP) * IN_WORD - np.int64(total(misses))


def _counting(*, parallel: bool) -> Any:
    count_chunks = count_work if parallel else count_nothing

    def count(samples: int, seed: Any, states: Array, tally: Array, out: Array) -> None:
        chunks, threads = (samples + CHUNK - 1) // CHUNK, tally.shape[0]
        hits: Any = 0
        for thread in prange(threads):
            s0, s1 = states[thread, 0], states[thread, 1]
            first, last = chunks * thread // threads, chunks * (thread + 1) // threads
            count_chunks(tally, last - first)
            for chunk in range(first, last):
                for lane in range(np.uintp(LANES)):
                    at = seed + np.uint64(2 * (chunk * LANES + lane) + 1) * GAMMA
                    s0[lane], s1[lane] = mix(at), mix(at + GAMMA)
                asked = min(CHUNK, samples - chunk * CHUNK)
                turns, left = asked // (LANES * IN_WORD), asked % (LANES * IN_WORD)
                for lane in range(np.uintp(0), np.uintp(LANES), GROUP):
                    hits += walk(s0, s1, lane, turns)
                for sample in range(left):
                    lane, number = sample // IN_WORD, sample % IN_WORD
                    hits += np.int64(is_hit(s0[lane] + s1[lane], number))
        out[0] = 4.0 * hits / samples

    return jit(parallel=parallel, error_model="numpy")(count)


def _bind(samples: int, seed: int, out: Array, *, parallel: bool) -> Bound:
    threads = get_num_threads() if parallel else 1
    states = aligned(threads * 2 * LANES, np.uint64).reshape(threads, 2, LANES)
    arguments = samples, np.uint64(seed), states, out
    function = PARALLEL if parallel else SERIAL
    return bind_chunks(function, *arguments, units=-(-samples // CHUNK), parallel=parallel)


SERIAL, PARALLEL = _counting(parallel=False), _counting(parallel=True)


def pi_numpy(samples: int, seed: int, out: Array) -> None:
    """Draw float32 from PCG64, in blocks."""
    generator, hits = np.random.default_rng(seed), 0
    for at in range(0, samples, BLOCK):
        points = generator.random((2, min(BLOCK, samples - at)), dtype=np.float32)
        np.multiply(points, points, out=points)
        hits += int(np.count_nonzero(points[0] + points[1] < 1))
    out[0] = 4.0 * hits / samples


def pi_numpy_words(samples: int, seed: int, out: Array) -> None:
    """Take four 16-bit coordinates from each word of PCG64, as ours does, in blocks."""
    words, hits = np.random.default_rng(seed).bit_generator, 0
    for at in range(0, samples, BLOCK):
        size = min(BLOCK, samples - at)
        halves = words.random_raw(-(-size // IN_WORD)).view(np.int16)[: 2 * size]
        points = halves.reshape(2, -1).astype(np.int32)
        np.multiply(points, points, out=points)
        hits += int(np.count_nonzero(points[0] + points[1] < int(RADIUS_SQUARED)))
    out[0] = 4.0 * hits / samples


def pi_torch(torch: Any, samples: int, seed: int, out: Any) -> None:
    """Draw float32 in blocks, where ``out`` lies."""
    generator, hits = torch.Generator(out.device).manual_seed(seed), 0
    block = BLOCK if out.device.type == "cpu" else 2**24
    for at in range(0, samples, block):
        shape = (2, min(block, samples - at))
        points = torch.rand(shape, generator=generator, device=out.device).square_()
        hits += torch.count_nonzero(points[0] + points[1] < 1)
    out[0] = 4.0 * hits / samples


def pi_torch_words(torch: Any, samples: int, seed: int, out: Any) -> None:
    """Take four 16-bit coordinates from each word of torch's generator, as ours does, in blocks."""
    generator, hits = torch.Generator(out.device).manual_seed(seed), 0
    block = TORCH_BLOCK if out.device.type == "cpu" else 2**24
    for at in range(0, samples, block):
        size = min(block, samples - at)
        words = torch.empty(-(-size // IN_WORD), dtype=torch.int64, device=out.device)
        words.random_(-(2**63), None, generator=generator)  # all 64 bits
        points = words.view(torch.int16)[: 2 * size].view(2, -1).to(torch.int32).square_()
        hits += torch.count_nonzero(points[0] + points[1] < int(RADIUS_SQUARED))
    out[0] = 4.0 * hits / samples


@cuda.jit
def pi_cuda(samples: int, seed: np.uint64, hits_by_block: Array) -> None:
    """Count on the device: a thread for each lane of each chunk, then a block sums its threads."""
    block_hits = cuda.shared.array(1, np.int64)
    if cuda.threadIdx.x == 0:
        block_hits[0] = 0
    cuda.syncthreads()
    chunk, lane = cuda.grid(1) // LANES, cuda.grid(1) % LANES
    at = seed + np.uint64(2 * cuda.grid(1) + 1) * GAMMA
    s0, s1 = mix(at), mix(at + GAMMA)
    count = 0
    first = chunk * CHUNK + lane * IN_WORD
    for sample in range(first, min(samples, (chunk + 1) * CHUNK), LANES * IN_WORD):
        for number in range(min(IN_WORD, samples - sample)):
            if is_hit(s0 + s1, number):
                count += 1
        s1 = s1 ^ s0
        s0 = ((s0 << np.uint64(24)) | (s0 >> np.uint64(40))) ^ s1 ^ (s1 << np.uint64(16))
        s1 = (s1 << np.uint64(37)) | (s1 >> np.uint64(27))
    cuda.atomic.add(block_hits, 0, count)
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        hits_by_block[cuda.blockIdx.x] = block_hits[0]


def bind_device(samples: int, seed: int, _out: Array) -> Bound:
    """Bind the CUDA kernel; the host adds up the blocks when it fetches the result."""
    blocks = -(-samples // CHUNK) * LANES // THREADS + 1
    hits = to_device(np.zeros(blocks, np.int64))
    bound = bind_cuda(pi_cuda, blocks, hits, samples, np.uint64(seed), hits)
    return replace(
        bound,
        result=lambda: np.array([4.0 * bound.result().sum() / samples]),
        overwrite=lambda values: bound.overwrite(np.full(blocks, values[0], np.int64)),
    )


PEERS = {
    **on_numpy(pi_numpy),
    **on_numpy(pi_numpy_words, "numpy_words"),
    **on_torch(pi_torch),
    **on_torch(pi_torch_words, "torch_words"),
}
KERNEL = Kernel(
    name="monte_carlo_pi",
    sizes={"tiny": 10**6, "small": 10**7, "paper": 10**8},
    make_inputs=make_inputs,
    make_out=lambda _samples, _seed: scalar_out(np.float64),
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=0, integer_ops=OPERATIONS * size),
    limit="integer",
    variants={
        **with_own_random_numbers(Tolerance(of_largest=0.01), PEERS),
        "numba": Variant(bind=partial(_bind, parallel=False)),
        "numba_parallel": replace(in_parallel(PARALLEL), bind=partial(_bind, parallel=True)),
        "cuda_naive": on_cuda(
            bind_device,
            DeviceCode(
                function=pi_cuda,
                signature="void(int64, uint64, int64[::1])",
                instructions=("atom.shared.add.u64",),
            ),
        ),
    },
)
