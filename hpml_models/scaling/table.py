"""The table of strategies: how each scales against one device that was measured in the same run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean, median
from typing import Any, NamedTuple

from hpml_models.cases import registry
from hpml_models.cases.training import TrainingCase
from hpml_models.types import ModelBytes


class Column(NamedTuple):
    """How a figure is shown."""

    heading: str
    form: str
    unit: float = 1

    def cell(self, value: float | None) -> str:
        """Write a value; what is not known is a dash."""
        return "-" if value is None else self.form.format(value / self.unit)


COLUMNS: Mapping[str, Column] = {
    "step_ns": Column("step ms", "{:.2f}", 1e6),
    "items_per_s": Column("items/s", "{:.0f}"),
    "speedup": Column("speedup", "{:.2f}"),
    "strong": Column("strong", "{:.0%}"),
    "weak": Column("weak", "{:.0%}"),
    "skew": Column("skew", "{:.1%}"),
    "held_bytes": Column("MiB/rank", "{:.1f}", 2**20),  # on the rank that holds most
    "held_share": Column("of single", "{:.2f}"),
    "held_ideal": Column("ideal", "{:.2f}"),
    "sent_bytes": Column("MB sent", "{:.2f}", 1e6),  # by the rank that sends most, in one step
    "sent_ideal_bytes": Column("ideal", "{:.2f}", 1e6),
    "bubble": Column("bubble", "{:.0%}"),  # mean over the ranks
    "bubble_ideal": Column("ideal", "{:.0%}"),
    "utilisation": Column("busy", "{:.0%}"),  # mean over the ranks
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one case gave: the median step of each launch, and what took effect."""

    case: TrainingCase
    launch_medians_ns: Sequence[float]
    effective: Mapping[str, Any]

    @property
    def step_ns(self) -> float:
        """Median over the launches."""
        return median(self.launch_medians_ns)

    @property
    def items_per_s(self) -> float:
        """Samples that all devices together work through in a second."""
        return self.case.batch / self.step_ns * 1e9

    @property
    def model_bytes(self) -> ModelBytes | None:
        """Parameters and optimizer state on the rank that holds most, if it was read back."""
        kinds = [self.by_rank(f"{kind}_bytes") for kind in ("parameter", "optimizer")]
        most = max(zip(*kinds, strict=True), key=sum, default=None)
        return ModelBytes(parameter_bytes=most[0], optimizer_bytes=most[1]) if most else None

    def by_rank(self, fact: str) -> list[Any]:
        """Return a fact for each rank, none if it was not read back: equal facts stand once."""
        values = self.effective.get(fact)
        if values is None:
            return []
        return values if isinstance(values, list) else [values] * self.case.device_count


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Give the table, a line each; cases that only differ in strategy and devices stand together.

    Speedup is in throughput, against ``single`` with the same batch. Strong scaling efficiency is
    speedup by device; weak scaling efficiency is the time of ``single`` with a device's part of
    the batch by the time of all devices with all of it. What was not measured is a dash.
    """
    ordered = sorted(rows, key=place)
    width = max(len(_label(row.case)) for row in rows)
    for problem, same in groupby(ordered, key=lambda row: problem_of(row.case)):
        yield ", ".join(problem)
        yield f"{'':{width}}" + "".join(f"{heading:>11}" for heading, *_ in COLUMNS.values())
        for row in same:
            note = "  oversubscribed" if row.effective.get("oversubscribed") else ""
            by_name = figures(row, rows)
            cells = "".join(f"{one.cell(by_name[name]):>11}" for name, one in COLUMNS.items())
            yield f"{_label(row.case):{width}}{cells}{note}"


def _label(case: TrainingCase) -> str:
    return f"b{case.batch} {case.layout}"


def place(row: Row) -> tuple[Any, ...]:
    """Give the order: of each problem first one device, then the others as they are listed."""
    case = row.case
    return problem_of(case), case.batch, case.device_count, case.strategy != "single"


def problem_of(case: TrainingCase) -> tuple[str, ...]:
    """Return what cases have in common that are compared with each other."""
    return case.model, case.data, case.preset, case.device, case.precision


def _single(row: Row, rows: Iterable[Row], batch: float) -> Row | None:
    """Find one device at work on the same problem, with a batch of this size."""
    return next(
        (
            other
            for other in rows
            if (other.case.strategy, other.case.batch) == ("single", batch)
            and other.case.micro_batches == 1
            and problem_of(other.case) == problem_of(row.case)
        ),
        None,
    )


def figures(row: Row, rows: Sequence[Row]) -> dict[str, float | None]:
    """Return what stands in a row, None where it was not measured, or theory does not say.

    Times in nanoseconds, memory and traffic in bytes; all else are shares or ratios.
    """
    single = _single(row, rows, row.case.batch)
    part = _single(row, rows, row.case.batch / row.case.device_count)
    speedup = row.items_per_s / single.items_per_s if single else None
    here, alone = row.model_bytes, single.model_bytes if single else None
    strategy = registry.strategies()[row.case.strategy]
    held_ideal = strategy.model_bytes_in_theory(row.case, alone) if alone else None
    sent = row.by_rank("sent_bytes")
    bubble_ideal = row.effective.get("bubble_in_theory")
    return {
        "step_ns": row.step_ns,
        "items_per_s": row.items_per_s,
        "speedup": speedup,
        "speedup_ideal": speedup and row.case.device_count * (1 - (bubble_ideal or 0)),
        "strong": speedup and speedup / row.case.device_count,
        "weak": part.step_ns / row.step_ns if part else None,
        "skew": row.effective["skew_ns"] / row.step_ns if "skew_ns" in row.effective else None,
        "held_bytes": here.total_bytes if here else None,
        "held_share": here.total_bytes / alone.total_bytes if here and alone else None,
        "held_ideal": held_ideal / alone.total_bytes if held_ideal and alone else None,
        "sent_bytes": max((sum(one.values()) for one in sent), default=None),
        "sent_ideal_bytes": strategy.traffic_in_theory(row.case, alone) if alone else None,
        "bubble": _mean(row.by_rank("bubble")),
        "bubble_ideal": bubble_ideal,
        "utilisation": _mean(row.by_rank("utilisation")),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known and len(known) == len(values) else None
