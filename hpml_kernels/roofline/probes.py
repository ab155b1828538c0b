"""What this machine can do at best, measured: the roofs that kernels are held to.

Each probe does nothing but what its name says, over as many bytes as the kernel moves, so in the
same cache or in memory, on one core or on all. Where there are several ways (stores through the
caches or past them) each is a probe, and the fastest is the limit. No C compiler is needed: numba
compiles loops of vector loads, stores and fused multiply-adds.

Bandwidths count what STREAM counts (J. McCalpin, 1995): what is read and what is written, not what
a store reads of the line that it overwrites.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numba import get_num_threads, prange

from hpml_kernels.cpu import aligned, jit
from hpml_kernels.simd.circle_test import IN_WORD, OPERATIONS, misses_in
from hpml_kernels.simd.vectors import fma, load, splat, store, stream, total
from hpml_kernels.thread_chunks import chunk_bounds
from hpml_kernels.types import Array, Limit, Work

W = np.uintp(16)  # float32 in a vector
TWO, THREE, FOUR = np.uintp(32), np.uintp(48), np.uintp(64)  # vectors
PASSES = {"read": 1, "copy": 2, "combine": 3, "accumulate": 3}  # over an array
FMA_ROUNDS = 20_000
FMA_FLOPS_PER_ROUND = 2 * 16 * 12  # twelve chains side by side hide how long each takes
WORDS = 2048  # of the integer probe: in the first cache
WORD_ROUNDS, WORD_LANES = 100, np.uintp(8)
WORD_OPS = IN_WORD * OPERATIONS
PRODUCTS = 8  # of a word in each round of the probe of multiplications
MULTIPLIER, HALF_BITS = np.uint64(0xD2511F53), np.uint64(32)
ZERO, HALF = np.float32(0), np.float32(0.5)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One way to reach a limit: a run does ``amount`` of what the limit counts."""

    name: str
    run: Callable[[], object]
    amount: int


def amount_of(limit: Limit, work: Work) -> int:
    """Return how much of what a limit counts a call does: bytes, operations, or calls."""
    integer = work.integer_ops
    counted = {"fma": work.flops, "integer": integer, "multiply": integer, "launch": 1}
    return counted.get(limit, work.bytes_moved)


def probes(limit: Limit, work: Work, *, parallel: bool) -> Sequence[Probe]:
    """Return the ways to a limit on one core, or on all that numba has threads for."""
    if limit in PASSES:
        return _memory_probes(limit, work.bytes_moved, parallel=parallel)
    return COMPUTING[limit](parallel)


def _memory_probes(limit: Limit, bytes_moved: int, *, parallel: bool) -> Sequence[Probe]:
    parts = get_num_threads() if parallel else 1
    unit = int(FOUR) * parts
    size = max(1, round(bytes_moved / (4 * PASSES[limit] * unit))) * unit
    arrays = tuple(aligned(size, np.float32) for _ in range(3))
    # Where an array lies in memory is worth 20 % to who only reads: the best of three places.
    places = arrays if limit == "read" else arrays[:1]
    return [
        Probe(
            name=f"{limit} {name} {place}".strip(),
            run=partial(loop[parallel], x, *arrays[1:], parts),
            amount=4 * PASSES[limit] * size,
        )
        for name, loop in MEMORY[limit].items()
        for place, x in zip(("", "elsewhere", "at a third place"), places, strict=False)
    ]


def _both(function: Callable[[bool], Any]) -> Mapping[bool, Any]:
    """Compile a loop for one core and for all."""
    return {parallel: function(parallel) for parallel in (False, True)}


def _read(parallel: bool) -> Any:  # noqa: FBT001  a compiled function goes by it
    def read(x: Array, _y: Array, _out: Array, threads: int) -> Any:
        whole = 0.0
        parts = threads if parallel else 1
        for part in prange(parts):
            first, last = chunk_bounds(np.uintp(x.size), parts, part)
            a = b = c = d = splat(ZERO)
            for i in range(first, last, FOUR):
                a, b = a + load(x, i), b + load(x, i + W)
                c, d = c + load(x, i + TWO), d + load(x, i + THREE)
            whole += total((a + b) + (c + d))
        return whole

    return jit(parallel=parallel, error_model="numpy")(read)


def _read_streams(parallel: bool) -> Any:  # noqa: FBT001
    def read_streams(x: Array, _y: Array, _out: Array, threads: int) -> Any:
        whole = 0.0
        parts = threads if parallel else 1
        quarter = np.uintp(x.size) // np.uintp(4)
        for part in prange(parts):
            first, last = chunk_bounds(quarter, parts, part)
            a = b = c = d = splat(ZERO)
            for i in range(first, last, W):
                a, b = a + load(x, i), b + load(x, i + quarter)
                c = c + load(x, i + quarter + quarter)
                d = d + load(x, i + quarter + quarter + quarter)
            whole += total((a + b) + (c + d))
        return whole

    return jit(parallel=parallel, error_model="numpy")(read_streams)


def _copy(parallel: bool, past_caches: bool) -> Any:  # noqa: FBT001
    def copy(x: Array, _y: Array, out: Array, threads: int) -> None:
        parts = threads if parallel else 1
        for part in prange(parts):
            first, last = chunk_bounds(np.uintp(x.size), parts, part)
            for i in range(first, last, W):
                if past_caches:
                    stream(out, i, load(x, i))
                else:
                    store(out, i, load(x, i))

    return jit(parallel=parallel, error_model="numpy")(copy)


def _combine(parallel: bool, past_caches: bool) -> Any:  # noqa: FBT001
    def combine(x: Array, y: Array, out: Array, threads: int) -> None:
        parts = threads if parallel else 1
        for part in prange(parts):
            first, last = chunk_bounds(np.uintp(x.size), parts, part)
            for i in range(first, last, W):
                if past_caches:
                    stream(out, i, load(x, i) + load(y, i))
                else:
                    store(out, i, load(x, i) + load(y, i))

    return jit(parallel=parallel, error_model="numpy")(combine)


def _accumulate(parallel: bool) -> Any:  # noqa: FBT001
    def accumulate(x: Array, _y: Array, out: Array, threads: int) -> None:
        parts = threads if parallel else 1
        for part in prange(parts):
            first, last = chunk_bounds(np.uintp(out.size), parts, part)
            for i in range(first, last, W):
                store(out, i, fma(load(out, i), splat(HALF), load(x, i)))  # stays bounded

    return jit(parallel=parallel, error_model="numpy")(accumulate)


def _multiply_add(parallel: bool) -> Any:  # noqa: FBT001
    def multiply_add(sums: Array) -> None:
        for part in prange(sums.size):
            x, y = splat(HALF), splat(np.float32(part + 1))
            a, b, c = y, y + y, y + y + y  # twelve unlike starts: alike chains would become one
            d, e, f = a + c, b + c, c + c
            g, h, i = d + c, e + c, f + c
            j, k, m = g + c, h + c, i + c
            for _ in range(FMA_ROUNDS):
                a, b, c = fma(a, x, y), fma(b, x, y), fma(c, x, y)
                d, e, f = fma(d, x, y), fma(e, x, y), fma(f, x, y)
                g, h, i = fma(g, x, y), fma(h, x, y), fma(i, x, y)
                j, k, m = fma(j, x, y), fma(k, x, y), fma(m, x, y)
            sums[part] = total(((a + b) + (c + d)) + ((e + f) + (g + h)) + ((i + j) + (k + m)))

    return jit(parallel=parallel, error_model="numpy")(multiply_add)


def _count_in_circle(parallel: bool) -> Any:  # noqa: FBT001
    def count_in_circle(words: Array, counts: Array) -> None:
        for part in prange(counts.size):
            misses = splat(np.uint32(0))
            for turn in range(WORD_ROUNDS):
                for i in range(np.uintp(0), np.uintp(words.size), WORD_LANES):
                    misses = misses + misses_in(load(words, i) + np.uint64(turn))
            counts[part] = total(misses)

    return jit(parallel=parallel, error_model="numpy")(count_in_circle)


def _multiply(parallel: bool) -> Any:  # noqa: FBT001
    def multiply(words: Array) -> None:
        for part in prange(words.shape[0]):
            row = words[part]
            for _ in range(WORD_ROUNDS):
                for i in range(np.uintp(row.size)):
                    word = row[i]
                    for _ in range(PRODUCTS):
                        word = (word >> HALF_BITS) * MULTIPLIER
                    row[i] = word | (word << HALF_BITS)

    return jit(parallel=parallel, error_model="numpy")(multiply)


def _nothing(parallel: bool) -> Any:  # noqa: FBT001
    def nothing(called: Array) -> None:
        for part in prange(called.size):
            called[part] = 1

    return jit(parallel=parallel, error_model="numpy")(nothing)


def _parts(parallel: bool) -> int:  # noqa: FBT001
    return get_num_threads() if parallel else 1


def _fma_probes(parallel: bool) -> Sequence[Probe]:  # noqa: FBT001
    sums = np.zeros(_parts(parallel), np.float32)
    run = MULTIPLY_ADD[parallel]
    amount = FMA_ROUNDS * FMA_FLOPS_PER_ROUND * sums.size
    return [Probe(name="fma", run=lambda: run(sums), amount=amount)]


def _integer_probes(parallel: bool) -> Sequence[Probe]:  # noqa: FBT001
    counts = np.zeros(_parts(parallel), np.uint64)
    words = aligned(WORDS, np.uint64)
    words[:] = np.random.default_rng(0).integers(2**64, size=WORDS, dtype=np.uint64)
    run = COUNT_IN_CIRCLE[parallel]
    amount = WORD_ROUNDS * WORDS * WORD_OPS * counts.size
    return [Probe(name="integer", run=lambda: run(words, counts), amount=amount)]


def _multiply_probes(parallel: bool) -> Sequence[Probe]:  # noqa: FBT001
    shape = _parts(parallel), WORDS
    words = np.random.default_rng(0).integers(2**64, size=shape, dtype=np.uint64)
    run = MULTIPLY[parallel]
    amount = WORD_ROUNDS * PRODUCTS * words.size
    return [Probe(name="multiply", run=lambda: run(words), amount=amount)]


def _launch_probes(parallel: bool) -> Sequence[Probe]:  # noqa: FBT001
    called = np.zeros(_parts(parallel), np.uint8)
    run = NOTHING[parallel]
    return [
        Probe(name="launch of compiled code", run=lambda: run(called), amount=1),
        Probe(name="call of Python", run=lambda: None, amount=1),
    ]


MULTIPLY_ADD, COUNT_IN_CIRCLE = _both(_multiply_add), _both(_count_in_circle)
MULTIPLY, NOTHING = _both(_multiply), _both(_nothing)
COMPUTING: Mapping[Limit, Callable[[bool], Sequence[Probe]]] = {
    "fma": _fma_probes,
    "integer": _integer_probes,
    "multiply": _multiply_probes,
    "launch": _launch_probes,
}
MEMORY: Mapping[Limit, Mapping[str, Mapping[bool, Any]]] = {
    "read": {"in one stream": _both(_read), "in four streams": _both(_read_streams)},
    "copy": {
        "through the caches": _both(partial(_copy, past_caches=False)),
        "past the caches": _both(partial(_copy, past_caches=True)),
    },
    "combine": {
        "through the caches": _both(partial(_combine, past_caches=False)),
        "past the caches": _both(partial(_combine, past_caches=True)),
    },
    "accumulate": {"": _both(_accumulate)},
}
