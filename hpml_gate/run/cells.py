"""The cells of a run: each test that measures, whether it was measured or not and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from hpml_gate.record import Curve, Description, Status, plain

STATUSES = frozenset(get_args(Status))
Rows = Sequence[Mapping[str, Any]]


@dataclass(kw_only=True)
class Cell:
    """What became of one test that measures."""

    test: str  # pytest node id
    description: Description
    status: Status = "ok"
    reason: str = ""
    message: str = ""  # what the test failed with
    duration_s: float = 0.0
    tables: dict[str, Rows] = field(default_factory=dict)  # what the test measured by itself
    curves: dict[str, Curve] = field(default_factory=dict)

    def note(self, report: pytest.TestReport) -> None:
        """Take over what one of the test's reports says."""
        self.duration_s += report.duration
        if report.skipped:
            self.status, self.reason = _skipped(report)
        elif report.failed:
            self.reason, self.message = _first_line(report), report.longreprtext
            self.status = _failed(self.reason)


class CellNotes:
    """A plugin of a run: each report of a test that measures is noted in its cell."""

    def __init__(self, cells: Mapping[str, Cell]) -> None:
        """Note in these, by pytest node id."""
        self._cells = cells

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a report as it is shown, whoever made it."""
        if cell := self._cells.get(report.nodeid):
            cell.note(report)


def cell_of(item: pytest.Item) -> Cell:
    """Return the cell of a test that is about to run, as its suite describes it."""
    described: Description = item.ihook.pytest_gate_describe(item=item)
    return Cell(test=item.nodeid, description=described)


def describe(item: pytest.Item) -> Description:
    """Describe a test by its parameters: those that are numbers or words."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    simple = {
        name: plain(value)
        for name, value in parameters.items()
        if isinstance(value, str | int | float | bool | None)
    }
    return Description(axes=simple)


def _skipped(report: pytest.TestReport) -> tuple[Status, str]:
    """Read a skip's kind and reason: ``no_data: give --data-root``."""
    if hasattr(report, "wasxfail"):
        return "skipped", f"it is expected to fail: {report.wasxfail}"
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    text = text.removeprefix("Skipped: ")
    kind, colon, reason = text.partition(": ")
    return (_status(kind), reason) if colon and kind in STATUSES else ("skipped", text)


def _failed(reason: str) -> Status:
    """Return the kind of a failure, which the gate's own messages begin with."""
    kind = reason.partition(": ")[0]
    if kind == "slower":
        return "ok"  # the verdict fails the test: it was measured
    return _status(kind) if kind in STATUSES else "error"


def _status(text: str) -> Status:
    return next(one for one in get_args(Status) if one == text)


def _first_line(report: pytest.TestReport) -> str:
    """Return what a failure says in one line: pytest's own short summary of it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else report.longreprtext
    return text.strip().partition("\n")[0].removeprefix("Failed: ")
