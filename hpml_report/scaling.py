"""The table of strategies: how each scales against one device that was measured likewise."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

from hpml_gate.record import Case, Measurement

if TYPE_CHECKING:
    from rich.table import Table

FAMILY = "train"
# What compared cases may differ in; in all else (an option of the model, say) they are the same.
LAYOUT = ("strategy", "variant", "stages", "micro_batches", "device_count", "nodes")
NAMED = ("model", "data", "preset", "device", "precision")  # whose values say what they are
NEEDED = {*NAMED, "strategy", "stages", "micro_batches", "device_count", "batch"}


class Column(NamedTuple):
    """How a figure is shown."""

    heading: str
    form: str
    unit: float = 1

    def cell(self, value: float | None) -> str:
        """Write a value; what is not known is a dash."""
        return "-" if value is None else self.form.format(value / self.unit)


SPEED: Mapping[str, Column] = {
    "step_ns": Column("step ms", "{:.2f}", 1e6),
    "items_per_s": Column("items/s", "{:.0f}"),
    "speedup": Column("speedup", "{:.2f}"),
    "strong": Column("strong", "{:.0%}"),
    "weak": Column("weak", "{:.0%}"),
    "skew": Column("skew", "{:.1%}"),
    "utilisation": Column("busy", "{:.0%}"),  # mean over the ranks
}
MEMORY: Mapping[str, Column] = {
    "held_bytes": Column("MiB/rank", "{:.1f}", 2**20),  # on the rank that holds most
    "held_share": Column("of single", "{:.2f}"),
    "held_ideal": Column("ideal", "{:.2f}"),
    "sent_bytes": Column("MB sent", "{:.2f}", 1e6),  # by the rank that sends most, in one step
    "sent_ideal_bytes": Column("ideal", "{:.2f}", 1e6),
    "bubble": Column("bubble", "{:.0%}"),  # mean over the ranks
    "bubble_ideal": Column("ideal", "{:.0%}"),
}
COLUMNS = {**SPEED, **MEMORY}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A training case that was measured."""

    case: Case
    measured: Measurement

    def axis(self, name: str) -> Any:
        """Return a field of the case."""
        return self.case.axes[name]

    @property
    def label(self) -> str:
        """What tells it from the other rows of its problem."""
        axes = self.case.axes
        words = [
            str(axes["strategy"]),
            str(axes.get("variant") or ""),
            f"s{axes['stages']}" if axes["stages"] not in (1, axes["device_count"]) else "",
            f"m{axes['micro_batches']}" if axes["micro_batches"] != 1 else "",
            f"x{axes['device_count']}",
            f"n{axes['nodes']}" if axes.get("nodes") else "",
        ]
        return f"b{axes['batch']} {'-'.join(word for word in words if word)}"

    @property
    def problem(self) -> tuple[str, ...]:
        """What it has in common with the cases that it is compared with."""
        rest = self.case.axes.keys() - {"family", "batch", *NAMED, *LAYOUT}
        named = [str(self.axis(name)) for name in NAMED]
        return (*named, *(f"{name}={self.axis(name)}" for name in sorted(rest)))

    @property
    def place(self) -> tuple[Any, ...]:
        """The order: of each problem first one device, then the others as they are listed."""
        is_single = self.axis("strategy") == "single"
        return self.problem, self.axis("batch"), self.axis("device_count"), not is_single

    @property
    def items_per_s(self) -> float:
        """Samples that all devices together work through in a second."""
        return float(self.axis("batch") / self.measured.median_ns * 1e9)

    @property
    def held_bytes(self) -> tuple[float, float] | None:
        """Parameters and optimizer state on the rank that holds most, if they were read back."""
        kinds = [self.by_rank(f"{kind}_bytes") for kind in ("parameter", "optimizer")]
        return max(zip(*kinds, strict=True), key=sum, default=None)

    @property
    def is_oversubscribed(self) -> bool:
        """Whether its ranks shared cores."""
        return bool(self.measured.effective.get("oversubscribed"))

    def by_rank(self, fact: str) -> list[Any]:
        """Return a fact for each rank, none if it was not read back: equal facts stand once."""
        values = self.measured.effective.get(fact)
        if values is None:
            return []
        return values if isinstance(values, list) else [values] * self.axis("device_count")


def rows_of(cases: Iterable[Case]) -> list[Row]:
    """Return the training cases that were measured, in the table's order."""
    rows = [
        Row(case=case, measured=case.measurement)
        for case in cases
        if case.axes.get("family") == FAMILY and case.axes.keys() >= NEEDED
        if case.measurement and case.status == "ok"
    ]
    return sorted(rows, key=lambda row: row.place)


def problems(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows that are compared with each other, by the name of their problem."""
    for problem, same in groupby(rows, key=lambda row: row.problem):
        yield ", ".join(problem), list(same)


def tables(rows: Sequence[Row]) -> Iterator["Table"]:
    """Yield two tables for each problem that has several rows: speed, then memory and traffic.

    Speedup is in throughput, against ``single`` with the same batch. Strong scaling efficiency is
    speedup by device; weak scaling efficiency is the time of ``single`` with a device's part of
    the batch by the time of all devices with all of it. What was not measured is a dash; a column
    of dashes is left out.
    """
    for name, same in problems(rows):
        if len(same) > 1:
            yield _table(name, same, SPEED)
            yield _table("", same, MEMORY)


def _table(title: str, same: Sequence[Row], columns: Mapping[str, Column]) -> "Table":
    from rich.table import Table

    known = [figures(row, same) for row in same]
    shown = [name for name in columns if any(one[name] is not None for one in known)]
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for name in shown:
        table.add_column(columns[name].heading, justify="right", no_wrap=True)
    for row, one in zip(same, known, strict=True):
        note = " (oversubscribed)" if row.is_oversubscribed else ""
        table.add_row(row.label + note, *(columns[name].cell(one[name]) for name in shown))
    return table


def figures(row: Row, rows: Sequence[Row]) -> dict[str, float | None]:
    """Return what stands in a row, None where it was not measured, or theory does not say.

    Times in nanoseconds, memory and traffic in bytes; all else are shares or ratios.
    """
    effective, devices = row.measured.effective, row.axis("device_count")
    single = _single(row, rows, row.axis("batch"))
    part = _single(row, rows, row.axis("batch") / devices)
    speedup = row.items_per_s / single.items_per_s if single else None
    step_ns, skew_ns = row.measured.median_ns, effective.get("skew_ns")
    bubble_ideal = effective.get("bubble_in_theory")
    return {
        "step_ns": step_ns,
        "items_per_s": row.items_per_s,
        "speedup": speedup,
        "speedup_ideal": speedup and devices * (1 - (bubble_ideal or 0)),
        "strong": speedup and speedup / devices,
        "weak": part.measured.median_ns / step_ns if part else None,
        "skew": None if skew_ns is None else skew_ns / step_ns,
        "bubble": _mean(row.by_rank("bubble")),
        "bubble_ideal": bubble_ideal,
        "utilisation": _mean(row.by_rank("utilisation")),
        **_bytes(row, single),
    }


def _bytes(row: Row, single: Row | None) -> dict[str, float | None]:
    """Return what a rank holds and sends, beside what theory says by what one device holds."""
    here, alone = row.held_bytes, single.held_bytes if single else None
    theory, sent = row.case.theory, row.by_rank("sent_bytes")
    ideal = alone and _held_in_theory(theory, alone)
    per_byte = theory.get("sent_per_parameter_byte")
    return {
        "held_bytes": here and sum(here),
        "held_share": sum(here) / sum(alone) if here and alone else None,
        "held_ideal": ideal / sum(alone) if ideal and alone else None,
        "sent_bytes": max((sum(one.values()) for one in sent), default=None),
        "sent_ideal_bytes": None if per_byte is None or alone is None else per_byte * alone[0],
    }


def _held_in_theory(theory: Mapping[str, float], alone: tuple[float, float]) -> float | None:
    shares = [theory.get(f"held_per_{kind}_byte") for kind in ("parameter", "optimizer")]
    if None in shares:
        return None
    return sum(share * held for share, held in zip(shares, alone, strict=True) if share is not None)


def _single(row: Row, rows: Iterable[Row], batch: float) -> Row | None:
    """Find one device at work on the same problem, with a batch of this size."""
    return next(
        (
            other
            for other in rows
            if (other.axis("strategy"), other.axis("batch")) == ("single", batch)
            and other.axis("micro_batches") == 1
            and other.problem == row.problem
        ),
        None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known and len(known) == len(values) else None
