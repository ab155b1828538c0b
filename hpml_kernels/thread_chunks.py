"""Parallel loops over chunks: each thread gets one contiguous chunk of the work.

Compiled code counts in a tally how much each thread has done, which proves that all had work.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numba import get_num_threads, get_thread_id
from numba.extending import register_jitable

from hpml_kernels.cpu import bind_numba, in_parallel
from hpml_kernels.types import Array, Bound, Variant
from hpml_steps.incorrect import Incorrect

ONE = np.uintp(1)
PADDED = 8  # counters in a row of a tally: a cache line, so that threads do not share one
MOST_RUNS = 100  # for threads that a busy machine starts late
LEAST_SHARE = 0.25  # of an even share of the work


@register_jitable
def chunk_bounds(size: Any, chunks: int, chunk: int) -> Any:
    """Return the first element of a chunk of a loop, and the one after its last."""
    at, of = np.uintp(chunk), np.uintp(chunks)
    return size * at // of, size * (at + ONE) // of


@register_jitable
def count_work(tally: Array, amount: Any) -> None:
    """Count what this thread has done, in any unit."""
    tally[get_thread_id(), 0] += np.int64(amount)


@register_jitable
def count_nothing(_tally: Array, _amount: Any) -> None:
    """Take the place of :func:`count_work` in code for one core."""


def in_chunks(
    function: Any, units: Callable[..., int] = lambda *arguments: int(arguments[-1].size)
) -> Variant:
    """Make the variant that calls ``function(*inputs, tally, out)``, compiled for all cores.

    ``units(*inputs, out)`` is the number of pieces that the work can be cut into.
    """
    return replace(
        in_parallel(function),
        bind=lambda *arguments: bind_chunks(function, *arguments, units=units(*arguments)),
    )


def bind_chunks(function: Any, *arguments: Any, units: int, parallel: bool = True) -> Bound:
    """Bind ``function(*inputs, tally, out)``, where the tally has a row for each thread.

    In parallel, what took effect says how many threads had work, of as many as ``units`` suffice
    for.
    """
    *inputs, out = arguments
    tally = np.zeros((get_num_threads() if parallel else 1, PADDED), np.int64)
    bound = bind_numba(function, *inputs, tally, out)
    if not parallel:
        return bound

    def effective() -> dict[str, Any]:
        done = {"threads_with_work": threads_with_work(bound.run, tally, units)}
        return {**bound.effective(), **done}

    return replace(bound, effective=effective)


def threads_with_work(run: Callable[[], object], tally: Array, units: int) -> int:
    """Return how many threads have had work; raise where one had none, or far too little."""
    needed = min(len(tally), units)
    for _ in range(MOST_RUNS):
        if np.count_nonzero(tally[:, 0]) >= needed:
            break
        run()
    done = np.sort(tally[:, 0])[::-1]
    if not done[needed - 1] > LEAST_SHARE * done.sum() / needed:
        raise Incorrect(f"of {needed} threads some had no work: they did {tally[:, 0].tolist()}")
    return int(np.count_nonzero(done))
