"""Device utilisation: the part of some steps in which a rank's devices compute.

Ask when all timing is over: a profiler that was on may slow down what comes after it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from math import inf
from statistics import mean
from typing import Any, NamedTuple

STEPS = 3


class Span(NamedTuple):
    """Something that a device was busy with; times of one clock, in any unit."""

    device: int
    start: float
    end: float


def utilisation(device: str, run: Callable[[], object]) -> float | None:
    """Run some steps; return the part of their time in which the process's devices were busy.

    On CUDA a device is busy while at least one kernel or copy runs on it, as NVML has it
    (nvmlUtilization_t): also while a collective waits for another rank in its kernel. Their time
    is that from the first kernel to the end of the last. On a CPU it is the process's time on
    cores, all of its threads together: above 1 where some overlap. None where the driver shows a
    profiler nothing, as it may in a container.
    """
    return _of_process(run) if device == "cpu" else busy_share(_on_cuda(run))


def _of_process(run: Callable[[], object]) -> float:
    run()  # ranks do not start at once, but they end their first step together
    cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(STEPS):
        run()
    return (time.process_time_ns() - cpu_ns) / (time.perf_counter_ns() - wall_ns)


def _on_cuda(run: Callable[[], object]) -> list[Span]:
    """Return what ran on the devices, as CUPTI has it: of a second profile.

    With the first CUPTI starts, which takes another while in each rank; who is early would wait,
    busy, in a collective.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile, supported_activities

    if ProfilerActivity.CUDA not in supported_activities():
        return []
    for _ in range(2):
        with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiler:
            for _ in range(STEPS):
                run()
            torch.cuda.synchronize()
    return spans_of(profiler.events() or [])


def spans_of(events: Iterable[Any]) -> list[Span]:
    """Choose kernels and copies on CUDA devices from what a profiler saw."""
    from torch.autograd import DeviceType

    return [
        Span(event.device_index, event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]


def busy_share(spans: Sequence[Span]) -> float | None:
    """Return the part of the time from first start to last end that is covered: mean by device."""
    by_device = groupby(sorted(spans), key=lambda span: span.device)
    return mean(_covered([*of_one]) for _, of_one in by_device) if spans else None


def _covered(spans: Sequence[Span]) -> float:
    busy, latest = 0.0, -inf
    for _, start, end in spans:
        busy += max(0.0, end - max(start, latest))
        latest = max(latest, end)
    return busy / (latest - spans[0].start)
