"""Random words from counters: Philox4x32-10, whose every number can be had without those before.

J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
Block i of four words comes from the counter (i, 0, 0, 0) and the key alone, so any core or thread
draws any part, and all variants give the very same words.
"""

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from hpml_kernels.checks import check_count
from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import bind_cuda, blocks_for, cuda, on_cuda, to_device
from hpml_kernels.peers import on_numpy
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Work

WORDS = 4  # in a block
ROUNDS = 10
FIRST, SECOND = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # the multipliers
GOLDEN, ROOT = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)  # what a round adds to the key
LOW, HALF, NONE = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0)
NUMPY_BLOCK = 2**12  # blocks of words that stay in cache together
LARGEST = 2**34  # words that counters of 32 bits number


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a key; ``size`` is the number of words."""
    return size, int(generator.integers(2**63))


def check(words: int, key: int) -> None:
    """Ask for a number of words that counters suffice for, and a key of 63 bits."""
    check_count("words", words)
    check_count("key", key, least=0)
    if words > LARGEST:
        raise ValueError(f"words is {words}, not at most {LARGEST}")
    if key >= 2**63:
        raise ValueError(f"key is {key}, not below 2^63")


@register_jitable(inline="always")  # a loop with a call in it is not vectorised
def philox(counter: Any, k0: Any, k1: Any) -> Any:
    """Return four words, each in the lower half of 64 bits, from a counter and two words of key.

    ``counter`` holds four words likewise, or arrays of them.
    """
    c0, c1, c2, c3 = counter
    for _ in range(ROUNDS):
        first, second = c0 * FIRST, c2 * SECOND
        c0, c2 = (second >> HALF) ^ c1 ^ k0, (first >> HALF) ^ c3 ^ k1
        c1, c3 = second & LOW, first & LOW
        k0, k1 = (k0 + GOLDEN) & LOW, (k1 + ROOT) & LOW
    return c0, c1, c2, c3


def reference(words: int, key: int) -> Array:
    """Draw with arrays of counters; ``tests`` hold :func:`philox` to the paper's known answers."""
    drawn = np.empty(words, np.uint32)
    philox_numpy(words, key, drawn)
    return drawn


def philox_numpy(words: int, key: int, out: Array) -> None:
    """Draw with arrays of counters, as many as stay in cache."""
    k0, k1 = np.uint64(key % 2**32), np.uint64(key >> 32)
    for at in range(0, words, NUMPY_BLOCK * WORDS):
        part = out[at : at + NUMPY_BLOCK * WORDS]
        first = at // WORDS
        counters = np.arange(first, first + -(-part.size // WORDS), dtype=np.uint64)
        drawn = philox((counters, NONE, NONE, NONE), k0, k1)
        part[:] = np.stack(drawn, axis=1).reshape(-1)[: part.size]


def philox_loop(words: int, key: int, out: Array) -> None:
    """Draw one block after the other."""
    k0, k1 = np.uint64(key % 2**32), np.uint64(key >> 32)
    for at in range(0, words, WORDS):
        drawn = philox((np.uint64(at // WORDS), NONE, NONE, NONE), k0, k1)
        out[at : at + WORDS] = drawn[: words - at]


@jit()
def draw_blocks(first: int, k0: np.uint64, k1: np.uint64, out: Array) -> None:
    """Draw whole blocks from number ``first`` on."""
    for block in range(np.uintp(out.size) // np.uintp(WORDS)):
        counter = np.uint64(first) + np.uint64(block)
        c0, c1, c2, c3 = philox((counter, NONE, NONE, NONE), k0, k1)
        at = np.uintp(block) * np.uintp(WORDS)
        out[at] = c0
        out[at + np.uintp(1)] = c1
        out[at + np.uintp(2)] = c2
        out[at + np.uintp(3)] = c3


@jit()
def draw_rest(k0: np.uint64, k1: np.uint64, out: Array) -> None:
    """Draw what is left after the last whole block."""
    whole = out.size // WORDS
    drawn = philox((np.uint64(whole), NONE, NONE, NONE), k0, k1)
    for i in range(out.size - whole * WORDS):
        out[whole * WORDS + i] = drawn[i]


@jit()
def philox_serial(_words: int, key: int, out: Array) -> None:
    """Draw on one core."""
    k0, k1 = np.uint64(key) & LOW, np.uint64(key) >> HALF
    draw_blocks(0, k0, k1, out)
    draw_rest(k0, k1, out)


@jit(parallel=True)
def philox_parallel(words: int, key: int, tally: Array, out: Array) -> None:
    """Draw on all cores, each its own blocks."""
    k0, k1 = np.uint64(key) & LOW, np.uint64(key) >> HALF
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(np.uintp(words // WORDS), tally.shape[0], chunk)
        draw_blocks(first, k0, k1, out[first * np.uintp(WORDS) : last * np.uintp(WORDS)])
        count_work(tally, last - first)
    draw_rest(k0, k1, out)


@cuda.jit
def philox_cuda(words: int, key: np.uint64, out: Array) -> None:
    """Draw on the device: each thread whole blocks of words, by the size of the grid."""
    k0, k1 = key & LOW, key >> HALF
    for block in range(cuda.grid(1), (words + WORDS - 1) // WORDS, cuda.gridsize(1)):
        drawn = philox((np.uint64(block), NONE, NONE, NONE), k0, k1)
        for i in range(WORDS):
            if block * WORDS + i < words:
                out[block * WORDS + i] = drawn[i]


def bind_device(words: int, key: int, out: Array) -> Bound:
    """Bind the kernel with a thread for each block of words."""
    on_device = to_device(out)
    blocks = blocks_for(-(-words // WORDS))
    return bind_cuda(philox_cuda, blocks, on_device, words, np.uint64(key), on_device)


KERNEL = Kernel(
    name="philox",
    sizes={"tiny": 100_000, "small": 2**22, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda words, _key: np.empty(words, np.uint32),
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=4 * size, integer_ops=2 * ROUNDS * size // WORDS),
    limit="multiply",  # two products in each round of a block
    variants={
        "python": interpreted(philox_loop),
        **on_numpy(philox_numpy),
        "numba": in_numba(philox_serial),
        "numba_parallel": in_chunks(philox_parallel, lambda words, *_: words // WORDS),
        "cuda_naive": on_cuda(
            bind_device,
            DeviceCode(
                function=philox_cuda,
                signature="void(int64, uint64, uint32[::1])",
            ),
        ),
    },
)
