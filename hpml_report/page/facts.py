"""What stands beside the cases: environments, and what is not here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hpml_gate.record import NOT_RUN, Run
from hpml_report.page.lines import Line


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A fact of the environments, a value for each run."""

    name: str
    values: Sequence[str]

    @property
    def differs(self) -> bool:
        """Whether the runs had it otherwise."""
        return len({*self.values}) > 1


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Cells that were not run, for one reason."""

    number: int  # of the run
    state: str
    reason: str
    names: Sequence[str]


def environments(runs: Sequence[Run]) -> list[Fact]:
    """Return machine and versions of all runs, side by side."""
    known = [_facts(run) for run in runs]
    names = dict.fromkeys(name for facts in known for name in facts)
    return [Fact(name=name, values=[facts.get(name, "") for facts in known]) for name in names]


def _facts(run: Run) -> Mapping[str, str]:
    facts: dict[str, Any] = {
        "machine": run.machine.id,
        "commit": run.commit.id + (" with changes" if run.commit.dirty else ""),
        "branch": run.commit.branch or "",
        "mode": run.mode,
        "time": run.datetime,
        **run.machine.facts,
        **{f"version of {name}": version for name, version in run.versions.items()},
    }
    return {name: str(value) for name, value in facts.items()}


def absent(lines: Sequence[Line]) -> list[Absent]:
    """Return the cells that were not run, those of one reason together."""

    def key(line: Line) -> tuple[int, str, str]:
        return line.number, line.state, line.reason or "no reason was stated"

    left_out = sorted((line for line in lines if line.state in NOT_RUN), key=key)
    return [
        Absent(number=number, state=state, reason=reason, names=[line.name for line in same])
        for (number, state, reason), same in groupby(left_out, key=key)
    ]
