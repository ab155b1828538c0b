"""How long steps wait for their batches: the share alone misleads, so the rate stands beside it.

Workers take cores from the step: it may wait less and be slower all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter_ns
from typing import TypeVar

Item = TypeVar("Item")

STEPS = 20
HIDDEN = 0.98  # of the rate without any loading


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What loading costs a step."""

    wait_median_ns: float
    wait_p90_ns: float
    wait_share: float  # of the time of waiting and stepping together
    rate_over_one_batch: float  # steps per second, over those on one batch that is there
    is_hidden: bool


def measure_waiting(
    batches: Iterator[Item],
    step: Callable[[Item], object],
    steps: int = STEPS,
    clock_ns: Callable[[], int] = perf_counter_ns,
) -> Waiting:
    """Take ``steps`` steps on batches as they come, then as many on the last of them."""
    waits, total_ns = [], -clock_ns()
    for _ in range(steps):
        begun_ns = clock_ns()
        batch = next(batches)
        waits.append(clock_ns() - begun_ns)
        step(batch)
    total_ns += clock_ns()
    alone_ns = -clock_ns()
    for _ in range(steps):
        step(batch)
    alone_ns += clock_ns()
    rate = alone_ns / total_ns
    return Waiting(
        wait_median_ns=median(waits),
        wait_p90_ns=quantiles(waits, n=10)[-1],
        wait_share=sum(waits) / total_ns,
        rate_over_one_batch=rate,
        is_hidden=rate >= HIDDEN,
    )
