"""Kernels beside their limits and their peers, in turn in one process: ``python -m`` this module.

A group of variants computes on one core, on all, or on a device. In each round every variant of the
group and every probe of its limits runs one block, in a new order; ratios are those of a
round's blocks, and what is given is their median over the rounds. So what disturbs the machine for
longer than a round disturbs both sides of a ratio.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter_ns, sleep
from typing import Any, Literal

import numpy as np

from hpml_kernels.call import bind, check_variant
from hpml_kernels.cuda import cuda_clock, why_not_cuda
from hpml_kernels.registry import kernels
from hpml_kernels.roofline.probes import Probe, amount_of, probes
from hpml_kernels.step import SEED, why_not
from hpml_kernels.types import Kernel, Limit, Variant, Work
from hpml_steps.clocks import Clock

Group = Literal["one core", "all cores", "cuda"]
ROUNDS = 15
BLOCK_NS = 10_000_000
SLOW_NS = 5 * BLOCK_NS
REST_S = 0.01  # OpenMP's threads spin for some milliseconds before they sleep


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one variant reached; the numerators are what its kernel states as its work."""

    kernel: str
    variant: str
    group: Group
    size: int
    limit: str
    is_peer: bool
    call_ns: float
    limit_ns: float  # the same work at the limit
    bytes_moved: int
    flops: int
    ratio_to_limit: float
    best_peer: str | None
    ratio_to_best_peer: float | None  # above 1: ahead of it


def compare(names: Sequence[str], preset: str) -> list[Row]:
    """Measure the variants of these kernels that can run here, each group in a fresh process."""
    rows: list[Row] = []
    groups: list[Group] = ["one core", "all cores"]
    if why_not_cuda() is None:
        groups.append("cuda")
    for group in groups:
        with ProcessPoolExecutor(1, get_context("spawn")) as process, _held_to_cpus(group):
            for name in names:
                rows += process.submit(measure, name, preset, group).result()
    return rows


@contextmanager
def _held_to_cpus(group: Group) -> Iterator[None]:
    """Start what is started meanwhile on one core, for the group ``one core``.

    The process inherits it: a library counts its cores as it is imported, and that is before the
    process could hold itself to one.
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
    if not members:
        return []
    size = kernel.sizes[preset]
    work = kernel.work(size)
    prepared = [*members, *_lent_peers(kernel, members, group, preset)]
    limits = sorted({kernel.limit_of(variant) for variant in prepared})
    ways = {limit: _ways(limit, work, group) for limit in limits}
    runs = {variant: _prepared(kernel, variant, size) for variant in prepared}
    probed = {probe.name: probe.run for each in ways.values() for probe in each}
    times = interleaved(runs | probed, cuda_clock() if group == "cuda" else None)
    limits_ns = {
        limit: _at_limit(probed_ways, amount_of(limit, work), times)
        for limit, probed_ways in ways.items()
    }
    rows = rows_of(kernel, size, group, {name: times[name] for name in runs}, limits_ns)
    return [row for row in rows if row.variant in members]


def _at_limit(ways: Sequence[Probe], amount: int, times: Mapping[str, Any]) -> Any:
    """Return the nanoseconds that the fastest way takes for an amount, by round."""
    scaled = [times[probe.name] * amount / probe.amount for probe in ways]
    return min(scaled, key=lambda each: float(np.nanmedian(each)))


def _members(kernel: Kernel, group: Group, preset: str) -> Sequence[str]:
    """Return the names of the variants of a group that can run here."""
    return [
        name
        for name, variant in kernel.variants.items()
        if _group(variant) == group and why_not(kernel.name, name, preset) is None
    ]


def _lent_peers(kernel: Kernel, members: Sequence[str], group: Group, preset: str) -> Sequence[str]:
    """Return the peers on one core for a kernel of which no peer knows how to use all."""
    if group != "all cores" or any(kernel.variants[name].is_peer for name in members):
        return []
    alone = _members(kernel, "one core", preset)
    return [name for name in alone if kernel.variants[name].is_peer]


def _group(variant: Variant) -> Group:
    if variant.device == "cuda":
        return "cuda"
    return "one core" if variant.cpus == 1 else "all cores"


def _ways(limit: Limit, work: Work, group: Group) -> Sequence[Probe]:
    if group == "cuda":
        from hpml_kernels.roofline.cuda_probes import cuda_probe

        return [cuda_probe(limit, work)]
    return probes(limit, work, parallel=group == "all cores")


def _prepared(kernel: Kernel, variant: str, size: int) -> Callable[[], object]:
    """Bind a variant and hold it to the reference, as the gate's step does."""
    inputs = kernel.make_inputs(size, np.random.default_rng(SEED))
    bound = bind(kernel, variant, inputs)
    bound.run()
    check_variant(kernel, variant, bound.result(), kernel.reference(*inputs))
    return bound.run


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    clock: Clock | None = None,
    now_ns: Callable[[], int] = perf_counter_ns,
) -> dict[str, Any]:
    """Return nanoseconds per call by name, an array with one entry for each round.

    Before each block the machine rests and one call goes untimed: threads of the block before may
    still spin, waiting for more, and take a core away. What takes much longer than a block runs in
    every fifth round, and has no entry (NaN) otherwise.
    """
    iterations = {name: _calibrated(run, clock, now_ns) for name, run in runs.items()}
    order = np.random.default_rng(SEED)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS):
        for name in order.permutation(list(runs)).tolist():
            if turn % 5 and times[name][0] > SLOW_NS:
                times[name].append(float("nan"))
                continue
            sleep(REST_S)
            runs[name]()
            block_ns = _block_ns(runs[name], iterations[name], clock, now_ns)
            times[name].append(block_ns / iterations[name])
    return {name: np.array(each) for name, each in times.items()}


def _calibrated(run: Callable[[], object], clock: Clock | None, now_ns: Callable[[], int]) -> int:
    """Return how many calls fill a block; the first call may compile, so it is not timed."""
    run()
    iterations = 1
    while (block_ns := _block_ns(run, iterations, clock, now_ns)) < BLOCK_NS / 2:
        iterations *= 2
    return max(1, round(iterations * BLOCK_NS / block_ns))


def _block_ns(
    run: Callable[[], object], iterations: int, clock: Clock | None, now_ns: Callable[[], int]
) -> int:
    if clock is not None:
        clock.start()
    start_ns = now_ns()
    for _ in range(iterations):
        run()
    device_ns = None if clock is None else clock.stop()
    return max(1, now_ns() - start_ns if device_ns is None else device_ns)


def rows_of(
    kernel: Kernel,
    size: int,
    group: Group,
    times: Mapping[str, Any],
    limits_ns: Mapping[Limit, Any],
) -> Sequence[Row]:
    """Turn the rounds' times into a row for each variant, beside its own limit."""
    peers = {name: each for name, each in times.items() if kernel.variants[name].is_peer}
    best = min(peers, key=lambda name: float(np.nanmedian(peers[name])), default=None)
    work = kernel.work(size)
    return [
        Row(
            kernel=kernel.name,
            variant=name,
            group=group,
            size=size,
            limit=kernel.limit_of(name),
            is_peer=name in peers,
            call_ns=float(np.nanmedian(each)),
            limit_ns=float(np.nanmedian(limits_ns[kernel.limit_of(name)])),
            bytes_moved=work.bytes_moved,
            flops=work.flops,
            ratio_to_limit=float(np.nanmedian(limits_ns[kernel.limit_of(name)] / each)),
            best_peer=best,
            ratio_to_best_peer=None if best is None else float(np.nanmedian(peers[best] / each)),
        )
        for name, each in times.items()
    ]
