"""What one benchmark measured: raw, with everything else derived from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from statistics import median, stdev
from typing import Any

from hpml_gate.measure.disturbance import Disturbance
from hpml_gate.measure.worker import Facts
from hpml_gate.protocol import BlockTime, Metric


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The blocks of one fresh process (and of its ranks), each of ``iterations`` steps.

    ``blocks[i][r]`` is block ``i`` as rank ``r`` saw it.
    """

    iterations: int
    blocks: tuple[tuple[BlockTime, ...], ...]
    effective: Mapping[str, Any]
    items_per_step: int
    metrics: Mapping[str, Metric]
    disturbance: Disturbance
    parameters: str = ""  # of the test, on its side
    unjudged: str = ""  # why its times say nothing

    @property
    def step_ns(self) -> list[float]:
        """Nanoseconds per step of each block: a world is as fast as its slowest rank."""
        return [max(rank.ns for rank in block) / self.iterations for block in self.blocks]

    @property
    def skew_ns(self) -> float:
        """Median over blocks of slowest minus fastest rank, in nanoseconds per step."""
        return median(
            (max(rank.ns for rank in block) - min(rank.ns for rank in block)) / self.iterations
            for block in self.blocks
        )

    @property
    def wall_over_device(self) -> float:
        """Median over blocks of wall time over judged time; well above 1: the host limits."""
        return median(
            max(rank.wall_ns for rank in block) / max(rank.ns for rank in block)
            for block in self.blocks
        )


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Step times of one case: launches x blocks, in nanoseconds per step."""

    case_id: str
    step_ns: tuple[tuple[float, ...], ...]
    iterations: int
    items_per_step: int
    effective: Mapping[str, Any]
    metrics: Mapping[str, Sequence[Metric]]  # one for each launch
    disturbances: Sequence[Disturbance]
    parameters: str = ""  # of the test; nothing where they are not the same in each launch
    unjudged: str = ""  # why the times say nothing

    @classmethod
    def of(cls, case_id: str, launches: list[Launch]) -> "Samples":
        """Put the launches of one case together; their facts are those of the first."""
        first = launches[0]
        diagnostics = {
            "skew_ns": median(launch.skew_ns for launch in launches),
            "wall_over_device": median(launch.wall_over_device for launch in launches),
        }
        return cls(
            case_id=case_id,
            step_ns=tuple(tuple(launch.step_ns) for launch in launches),
            iterations=first.iterations,
            items_per_step=first.items_per_step,
            effective={**first.effective, **diagnostics},
            metrics={name: [one.metrics[name] for one in launches] for name in first.metrics},
            disturbances=[launch.disturbance for launch in launches],
            parameters=first.parameters * (len({one.parameters for one in launches}) == 1),
            unjudged=first.unjudged,
        )

    @cached_property
    def launch_medians_ns(self) -> list[float]:
        """One figure per launch: the launch is the replicate, its blocks are not."""
        return launch_medians(self.step_ns)

    @property
    def scatter(self) -> float:
        """Standard deviation of the logarithms of the launches' medians."""
        return stdev(log(ns) for ns in self.launch_medians_ns)

    @property
    def median_ns(self) -> float:
        """Median over the launches' medians, in nanoseconds per step."""
        return median(self.launch_medians_ns)

    @property
    def items_per_s(self) -> float:
        """Throughput at the median step."""
        return self.items_per_step / self.median_ns * 1e9


def launch_medians(step_ns: Sequence[Sequence[float]]) -> list[float]:
    """Reduce launches x blocks to one figure per launch."""
    return [median(launch) for launch in step_ns]


def launch_of(
    facts: Facts, iterations: int, blocks: Sequence[tuple[BlockTime, ...]], disturbance: Disturbance
) -> Launch:
    """Put together what a worker timed, what it says of itself and what disturbed it."""
    process = {
        "cpus": list(facts.cpus),
        "niceness": facts.niceness,
        "environment": dict(facts.environment),
        "gc": "off",
    }
    return Launch(
        iterations=iterations,
        blocks=tuple(blocks),
        effective={**facts.effective, "process": process},
        items_per_step=facts.items_per_step,
        metrics=facts.metrics,
        disturbance=disturbance,
        parameters=facts.parameters,
        unjudged=facts.unjudged,
    )


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One launch of a self-test, with one planted slowdown; ``share`` is how much slower."""

    case_id: str
    is_loaded: bool
    share: float
    log_ratio: float
    seconds: float  # of measuring, that a launch with this share alone would take
    base_ns: Sequence[float]
    head_ns: Sequence[float]
