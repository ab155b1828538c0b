"""Timing one prepared step inside one process: warm up, then time blocks.

The clock is passed in, so all of it runs under a fake one in the tests.
"""

import gc
import resource
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import isawaitable

from hpml_gate.clocks import REAL
from hpml_gate.protocol import BlockTime, Clock, Step, Timer

__tracebackhide__ = True  # a failing call's traceback shows the test's own code


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much one launch measures.

    A block must be long beside the clock's cost and short beside the machine's mood: 25 ms.
    """

    blocks: int = 12
    block_ns: int = 25_000_000
    warmup_steps: int = 3
    warmup_ns: int = 300_000_000


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a warm step takes, and how many of them fill a block: at least one."""

    iterations: int
    step_ns: float
    unjudged: str = ""  # why its times say nothing


# Both sides take turns of two blocks each, so what matters is that a turn is short, and that there
# are many launches: between them the ratio scatters more than within.
PAIRED = Plan(block_ns=5_000_000, warmup_ns=100_000_000)


def time_block(
    run: Callable[[], object],
    clock: Clock | None,
    iterations: int,
    now_ns: Callable[[], int] = REAL.perf_counter_ns,
) -> BlockTime:
    """Run ``iterations`` steps between two rests of the device and return what they took."""
    with _no_garbage_collection():
        before = resource.getrusage(resource.RUSAGE_SELF)
        if clock is not None:
            clock.start()
        start_ns = now_ns()
        for _ in range(iterations):
            run()
        device_ns = None if clock is None else clock.stop()
        wall_ns = now_ns() - start_ns
        after = resource.getrusage(resource.RUSAGE_SELF)
    return BlockTime(
        ns=wall_ns if device_ns is None else device_ns,
        wall_ns=wall_ns,
        cpu_ns=round(1e9 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)),
        page_faults=after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt,
        preemptions=after.ru_nivcsw - before.ru_nivcsw,
    )


def time_first(run: Callable[[], object], clock: Clock | None, iterations: int) -> BlockTime:
    """Time a block as :func:`time_block` does, and look at what the calls return."""
    returned: list[object] = []
    block = time_block(lambda: returned.append(run()), clock, iterations)
    return replace(block, unjudged=_why_nothing_ran(returned[-1]))


def _why_nothing_ran(returned: object) -> str:
    """Return why a call that returned this has not done its work, if it has not."""
    lazy = isinstance(returned, Generator | AsyncGenerator)
    if not lazy and not isawaitable(returned):
        return ""
    if isinstance(returned, Generator | Coroutine):
        returned.close()
    kind = "generator" if lazy else "coroutine"
    return (
        f"the call returns a {kind} that nothing {'iterates over' if lazy else 'awaits'}, so none "
        f"of its work is timed: time a function that runs it (list(...), asyncio.run(...))"
    )


def warm_up(step: Step, plan: Plan, timer: Timer = time_block) -> Calibration:
    """Run past compilation (the first ``warmup_steps``), on to ``warmup_ns`` after the first.

    Its last block says how many steps fill one.
    """
    first = step.measure(time_first, 1)
    spent_ns = sum(_slowest_ns(step, 1, timer) for _ in range(plan.warmup_steps - 1))
    iterations = 1
    while True:
        spent_ns += (block_ns := _slowest_ns(step, iterations, timer))
        if spent_ns >= plan.warmup_ns and block_ns >= plan.block_ns / 4:
            filling = max(1, round(iterations * plan.block_ns / block_ns))
            return Calibration(
                iterations=filling,
                step_ns=block_ns / iterations,
                unjudged=next((rank.unjudged for rank in first if rank.unjudged), ""),
            )
        if block_ns < plan.block_ns:
            iterations *= 2


def _slowest_ns(step: Step, iterations: int, timer: Timer) -> int:
    return max(1, *(block.wall_ns for block in step.measure(timer, iterations)))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect the young objects now and none in the block, wherever it runs: ranks too."""
    gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
