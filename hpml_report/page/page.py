"""The page: what its template is filled with."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shlex import join
from typing import Any

from hpml_gate.record import Run
from hpml_gate.words import counted, sides_in_words
from hpml_report.page import figures
from hpml_report.page.facts import absent, environments
from hpml_report.page.figure import Figure
from hpml_report.page.lines import Line, lines_of, measured_of, sentence

MOST_CHOICES = 50  # an axis with more values is searched, not chosen from


@dataclass(frozen=True, kw_only=True)
class Part:
    """A run on the page."""

    number: int
    place: Path
    run: Run

    @cached_property
    def lines(self) -> list[Line]:
        """What the table holds of it, and what its figures and sentence are made from."""
        return lines_of(self.number, self.run)

    @property
    def head(self) -> dict[str, str]:
        """What was run, against what, where."""
        run = self.run
        return {
            "Measured": f"{measured_of(run)} of {len(run.cases)} cells measured",
            "Compared with": sides_in_words(run),
            "Commit": run.commit.id + (" with changes" if run.commit.dirty else ""),
            "Machine": run.machine.id,
            "Time": f"{run.datetime}, {run.duration_s:.0f} s",
            "Record": str(self.place),
        }

    @property
    def sentence(self) -> str:
        """The verdict."""
        return sentence(self.run, self.lines)

    @property
    def command(self) -> str:
        """The command, to copy into a shell."""
        return join(self.run.command)

    @cached_property
    def overview(self) -> list[Figure]:
        """All ratios."""
        return [*figures.overview(self.number, self.lines)]

    @cached_property
    def scaled(self) -> list[tuple[str, list[dict[str, str]], list[Figure]]]:
        """Strategies beside one device."""
        return [*figures.scaled(self.number, self.run)]

    @cached_property
    def kernels(self) -> list[Figure]:
        """Kernels beside their limits."""
        return [*figures.kernels(self.number, self.run)]

    @cached_property
    def learning(self) -> list[Figure]:
        """Curves."""
        return [*figures.learning(self.number, self.run)]

    @property
    def kernel_rows(self) -> list[dict[str, Any]]:
        """All rows of kernels, also those without a ratio."""
        return figures.kernel_rows(self.run.cases)

    @property
    def figures(self) -> list[Figure]:
        """All of them, for export."""
        drawn = [figure for _, _, some in self.scaled for figure in some]
        return [*self.overview, *drawn, *self.kernels, *self.learning]


def parts_of(runs: Sequence[tuple[Path, Run]]) -> list[Part]:
    """Return the runs, numbered from 1."""
    return [
        Part(number=number, place=place, run=run)
        for number, (place, run) in enumerate(runs, start=1)
    ]


def page(parts: Sequence[Part], problems: Sequence[str]) -> str:
    """Return the HTML of some runs; problems are the records that could not be read."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hpml_report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sha256": _sha256, "counted": _counted, "columns": _columns}
    lines = [line for part in parts for line in part.lines]
    return environment.get_template("page.html").render(
        parts=parts,
        problems=problems,
        lines=lines,
        open_lines=[line for line in lines if not line.is_folded],
        folded_lines=[line for line in lines if line.is_folded],
        choices=_choices(lines),
        facts=environments([part.run for part in parts]),
        absent=absent(lines),
    )


def _choices(lines: Sequence[Line]) -> Mapping[str, list[str]]:
    """Return the values that lines can be filtered by: verdict, run, then the axes."""
    found: dict[str, dict[str, None]] = {}
    for line in lines:
        known = {"verdict": line.state, "run": str(line.number), **line.axes}
        for name, value in known.items():
            found.setdefault(name, {})[value] = None
    return {
        name: sorted(values) for name, values in found.items() if 1 < len(values) <= MOST_CHOICES
    }


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all rows: one may lack what another has."""
    return [*dict.fromkeys(name for row in rows for name in row)]


def _counted(lines: Sequence[Line]) -> str:
    return counted(line.label for line in lines) or "none"


def _sha256(text: str) -> str:
    """Return what the page's policy names its one script by."""
    return base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()
