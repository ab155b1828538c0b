"""Time several functions in turn, in one process, so that disturbances meet all of them alike.

In each round every function runs one block, in a new order. What disturbs the machine for longer
than a round disturbs both sides of a ratio of that round.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns, sleep
from typing import Any

import numpy as np

from hpml_kernels.types import Array
from hpml_steps.clocks import Clock

ROUNDS = 15
SLOW_EVERY = 5  # what is slow runs in every fifth round
# Short enough that CUDA's queue of 1024 launches does not fill with kernels of 10 us and more:
# behind a full queue issuing would take as long as the device.
BLOCK_NS = 10_000_000
SLOW_NS = 5 * BLOCK_NS
REST_S = 0.01  # OpenMP's threads spin for some milliseconds before they sleep
SEED = 42


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of equal calls: what it took, and for how long the host issued it."""

    ns: int
    issued_ns: int


@dataclass(frozen=True, kw_only=True)
class Times:
    """What a function took: nanoseconds of a call in each round, NaN where it did not run.

    ``issue_share``: the host's time to issue a block over the device's time to run it, None where
    the function computes on the host.
    """

    call_ns: Array
    issue_share: float | None = None

    @property
    def median_ns(self) -> float:
        """Return the median over the rounds."""
        return float(np.nanmedian(self.call_ns))

    def scaled(self, factor: float) -> "Times":
        """Return the times for so many times the work."""
        return Times(call_ns=self.call_ns * factor, issue_share=self.issue_share)


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    clock: Clock | None = None,
    now_ns: Callable[[], int] = perf_counter_ns,
) -> dict[str, Times]:
    """Return the times of each function by name.

    Before each block the machine rests and one call goes untimed: threads of the block before may
    still spin, waiting for more, and take a core away.
    """
    iterations = {name: _calibrated(run, clock, now_ns) for name, run in functions.items()}
    generator = np.random.default_rng(SEED)
    blocks: dict[str, list[Block | None]] = {name: [] for name in functions}
    for number in range(ROUNDS):
        for name in generator.permutation(list(functions)).tolist():
            if number % SLOW_EVERY and _is_slow(blocks[name][0], iterations[name]):
                blocks[name].append(None)
                continue
            sleep(REST_S)
            functions[name]()
            blocks[name].append(time_block(functions[name], iterations[name], clock, now_ns))
    on_device = clock is not None
    return {
        name: _times(each, iterations[name], on_device=on_device) for name, each in blocks.items()
    }


def _is_slow(first: Block | None, iterations: int) -> bool:
    return first is not None and first.ns / iterations > SLOW_NS


def _times(blocks: list[Block | None], iterations: int, *, on_device: bool) -> Times:
    call_ns = np.array([np.nan if one is None else one.ns / iterations for one in blocks])
    shares = [one.issued_ns / one.ns for one in blocks if one is not None]
    return Times(call_ns=call_ns, issue_share=float(np.median(shares)) if on_device else None)


def _calibrated(run: Callable[[], object], clock: Clock | None, now_ns: Callable[[], int]) -> int:
    """Return how many calls fill a block; the first call may compile, so it is not timed."""
    run()
    iterations = 1
    while (block := time_block(run, iterations, clock, now_ns)).ns < BLOCK_NS / 2:
        iterations *= 2
    return max(1, round(iterations * BLOCK_NS / block.ns))


def time_block(
    run: Callable[[], object], iterations: int, clock: Clock | None, now_ns: Callable[[], Any]
) -> Block:
    """Time one block by the device's clock, or by the host's where there is none."""
    if clock is not None:
        clock.start()
    start_ns = now_ns()
    for _ in range(iterations):
        run()
    issued_ns = now_ns() - start_ns
    device_ns = None if clock is None else clock.stop()
    return Block(ns=max(1, issued_ns if device_ns is None else device_ns), issued_ns=issued_ns)
