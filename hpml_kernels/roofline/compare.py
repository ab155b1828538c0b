"""Kernels beside their limits and their peers, in turn in one process.

A group of variants computes on one core, on all, or on a device. Each group has a process of its
own, in which every variant of the group and every probe of its limits takes turns.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from hpml_kernels.case import KernelCase
from hpml_kernels.cpu import why_not_parallel
from hpml_kernels.cuda import cuda_clock, why_not_cuda
from hpml_kernels.registry import kernels
from hpml_kernels.roofline.interleave import Times, interleaved
from hpml_kernels.roofline.probes import Probe, amount_of, probes
from hpml_kernels.roofline.rows import GROUPS, Group, Row, is_launch_bound, rows_of
from hpml_kernels.step import prepare_kernel
from hpml_kernels.types import Kernel, Limit, Variant, Work

WHY_NOT: Mapping[Group, Callable[[], str | None]] = {
    "one core": lambda: None,
    "all cores": why_not_parallel,
    "cuda": why_not_cuda,
}


def missing_groups() -> Iterator[str]:
    """Yield a line for each group that this machine lacks the hardware for."""
    for group in GROUPS:
        if reason := WHY_NOT[group]():
            yield f"{group}: not run ({reason})"


def why_not_compared(kernel_name: str, group: Group, preset: str) -> str | None:
    """Return the reason why a kernel has nothing to compare in a group here."""
    if reason := WHY_NOT[group]():
        return reason
    if _members(kernels()[kernel_name], group, preset):
        return None
    return f"unsupported: no variant of {kernel_name} computes on {group}"


class Comparison:
    """Processes that compare, one for each group, from the first use on until the context ends."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._processes: dict[Group, ProcessPoolExecutor] = {}

    def __enter__(self) -> Self:
        """Return this comparison."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        for process in self._processes.values():
            process.shutdown()

    def measure(self, kernel_name: str, preset: str, group: Group) -> list[Row]:
        """Measure a kernel's variants of a group that can run here."""
        if group not in self._processes:
            self._processes[group] = ProcessPoolExecutor(1, get_context("spawn"))
        with _restricted_to_cpus(group):  # the first task starts the process
            task = self._processes[group].submit(measure, kernel_name, preset, group)
        try:
            return task.result()
        except BrokenProcessPool:  # the next kernel gets a new one
            del self._processes[group]
            raise


def compare(names: Sequence[str], preset: str) -> list[Row]:
    """Measure all groups of these kernels, as far as they can run here."""
    with Comparison() as comparison:
        return [
            row
            for group in GROUPS
            for name in names
            if why_not_compared(name, group, preset) is None
            for row in comparison.measure(name, preset, group)
        ]


@contextmanager
def _restricted_to_cpus(group: Group) -> Iterator[None]:
    """Start what is started meanwhile on one core, for the group ``one core``.

    The process inherits it: a library counts its cores as it is imported, and that is before the
    process could restrict itself to one.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)} if group == "one core" else allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def measure(name: str, preset: str, group: Group) -> list[Row]:
    """Measure a kernel's variants of a group in this process."""
    kernel = kernels()[name]
    members = _members(kernel, group, preset)
    timed = [*members, *substitute_peers(kernel, members, group, preset)]
    work = kernel.work(kernel.sizes[preset])
    limits = sorted({kernel.limit_of(variant) for variant in timed})
    probes_of = {limit: _probes(limit, work, group) for limit in limits}
    # Bound one after the other, in this order: a library's number of threads is its process's.
    functions = {
        variant: prepare_kernel(KernelCase(kernel=name, variant=variant, preset=preset)).run
        for variant in timed
    }
    functions |= {probe.name: probe.run for each in probes_of.values() for probe in each}
    times = interleaved(functions, cuda_clock() if group == "cuda" else None)
    at_limits = {limit: at_limit(probes_of[limit], limit, work, times) for limit in limits}
    variants = {name: times[name] for name in timed}
    rows = rows_of(kernel, kernel.sizes[preset], group, variants, at_limits)
    return [row for row in rows if row.variant in members]


def at_limit(
    probes_of: Sequence[Probe], limit: Limit, work: Work, times: Mapping[str, Times]
) -> Times:
    """Return the times that the fastest probe takes for the work; of those that are no host's."""
    scaled = [times[one.name].scaled(amount_of(limit, work) / one.amount) for one in probes_of]
    return min(scaled, key=lambda one: (is_launch_bound(one, limit), one.median_ns))


def _members(kernel: Kernel, group: Group, preset: str) -> Sequence[str]:
    """Return the names of the variants of a group that can run here."""
    return [
        name
        for name, variant in kernel.variants.items()
        if group_of(variant) == group
        and KernelCase(kernel=kernel.name, variant=name, preset=preset).why_not() is None
    ]


def substitute_peers(
    kernel: Kernel, members: Sequence[str], group: Group, preset: str
) -> Sequence[str]:
    """Return the peers on one core that all cores are compared with, too: they may be faster.

    Not those whose library is among the members: a process has one number of threads for it.
    """
    if group != "all cores":
        return []
    libraries = {kernel.variants[name].threaded_library for name in members} - {None}
    alone = _members(kernel, "one core", preset)
    peers = [name for name in alone if kernel.variants[name].is_peer]
    return [name for name in peers if kernel.variants[name].threaded_library not in libraries]


def group_of(variant: Variant) -> Group:
    """Return the group that a variant is compared in."""
    if variant.device == "cuda":
        return "cuda"
    return "one core" if variant.cpus == 1 else "all cores"


def _probes(limit: Limit, work: Work, group: Group) -> Sequence[Probe]:
    if group == "cuda":
        from hpml_kernels.roofline.cuda_probes import cuda_probe

        return [cuda_probe(limit, work)]
    return probes(limit, work, parallel=group == "all cores")
