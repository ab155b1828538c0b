"""The table of strategies: how each scales against one device that was measured in the same run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hpml_models.types import Case

HEADINGS = (
    "step ms",
    "items/s",
    "speedup",
    "strong",
    "weak",
    "skew",
    "MiB/rank",  # parameters and optimizer state, on the rank that holds most
    "of single",
    "MB sent",  # by the rank that sends most, in one step
    "bubble",  # mean over the ranks
    "theory",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one case gave: its median step over the launches, and what took effect."""

    case: Case
    step_ns: float
    effective: Mapping[str, Any]

    @property
    def items_per_s(self) -> float:
        """Samples that all devices together work through in a second."""
        return self.case.batch / self.step_ns * 1e9

    @property
    def state_bytes(self) -> float | None:
        """Parameters and optimizer state on the rank that holds most, if it was read back."""
        kinds = [self.by_rank(f"{kind}_bytes") for kind in ("parameter", "optimizer")]
        return max(map(sum, zip(*kinds, strict=True)), default=None)

    def by_rank(self, fact: str) -> list[Any]:
        """Return a fact for each rank, none if it was not read back: equal facts stand once."""
        found = self.effective.get(fact)
        if found is None:
            return []
        return found if isinstance(found, list) else [found] * self.case.device_count


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Give the table, a line each; cases that only differ in strategy and devices stand together.

    Speedup is in throughput, against ``single`` with the same batch. Strong scaling efficiency is
    speedup by device; weak scaling efficiency is the time of ``single`` with a device's part of
    the batch by the time of all devices with all of it. What was not measured is a dash.
    """
    ordered = sorted(rows, key=_place)
    width = max(len(_label(row.case)) for row in rows)
    for problem, same in groupby(ordered, key=lambda row: _problem(row.case)):
        yield ", ".join(problem)
        yield f"{'':{width}}" + "".join(f"{heading:>11}" for heading in HEADINGS)
        for row in same:
            note = "  oversubscribed" if row.effective.get("oversubscribed") else ""
            cells = "".join(f"{one:>11}" for one in _cells(row, rows))
            yield f"{_label(row.case):{width}}{cells}{note}"


def _label(case: Case) -> str:
    return f"b{case.batch} {case.way}"


def _place(row: Row) -> tuple[Any, ...]:
    """Give the order: of each problem first one device, then the others as they are listed."""
    case = row.case
    return _problem(case), case.batch, case.device_count, case.strategy != "single"


def _problem(case: Case) -> tuple[str, ...]:
    return case.model, case.data, case.preset, case.device, case.precision


def _single(row: Row, rows: Iterable[Row], batch: float) -> Row | None:
    """Find one device at work on the same problem, with a batch of this size."""
    return next(
        (
            other
            for other in rows
            if (other.case.strategy, other.case.batch) == ("single", batch)
            and other.case.micro_batches == 1
            and _problem(other.case) == _problem(row.case)
        ),
        None,
    )


def _cells(row: Row, rows: Sequence[Row]) -> Iterator[str]:
    single = _single(row, rows, row.case.batch)
    part = _single(row, rows, row.case.batch / row.case.device_count)
    speedup = row.items_per_s / single.items_per_s if single else None
    state, alone = row.state_bytes, single.state_bytes if single else None
    sent, bubbles = row.by_rank("sent_bytes"), row.by_rank("bubble")
    yield f"{row.step_ns / 1e6:.2f}"
    yield f"{row.items_per_s:.0f}"
    yield _shown(speedup, "{:.2f}")
    yield _shown(speedup and speedup / row.case.device_count, "{:.0%}")
    yield _shown(part.step_ns / row.step_ns if part else None, "{:.0%}")
    yield _shown(row.effective.get("skew_ns"), "{:.1%}", row.step_ns)
    yield _shown(state, "{:.1f}", 2**20)
    yield _shown(state and alone and state / alone, "{:.2f}")
    yield _shown(max((sum(one.values()) for one in sent), default=None), "{:.2f}", 1e6)
    yield _shown(sum(bubbles) / len(bubbles) if bubbles else None, "{:.0%}")
    yield _shown(row.effective.get("bubble_in_theory"), "{:.0%}")


def _shown(value: float | None, form: str, unit: float = 1) -> str:
    return "-" if value is None else form.format(value / unit)
