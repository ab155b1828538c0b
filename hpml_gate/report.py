"""What people see in the terminal: progress while it runs, verdicts and places at the end."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from hpml_gate.outputs import Outputs
from hpml_gate.session import GateSession
from hpml_gate.verdict import CONFIDENCE, Verdict

WORST_FIRST = ("slower", "inconclusive", "incomparable", "new", "faster", "pass")
QUIET_S = 10.0  # where lines cannot be rewritten (a log), one line per this many seconds is enough


class Progress:
    """One line that says what is being measured now."""

    def __init__(self, config: pytest.Config) -> None:
        """Write to pytest's own terminal reporter, if it is there."""
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._last_s = time.monotonic()
        self._shown = False

    def __call__(self, text: str) -> None:
        """Show ``text`` in place of the line before it (in a log: below it, now and then)."""
        if self._reporter is None:
            return
        if self._reporter.isatty:
            self._write(f"\r\x1b[2K{text}")
        elif time.monotonic() - self._last_s >= QUIET_S:
            self._write(f"\n{text} ")
        else:
            return
        self._shown, self._last_s = True, time.monotonic()

    def clear(self) -> None:
        """Take the line away again."""
        if self._shown and self._reporter is not None and self._reporter.isatty:
            self._write("\r\x1b[2K")
        self._shown = False

    def _write(self, text: str) -> None:
        if self._capture is None:
            self._reporter.write(text, flush=True)
            return
        with self._capture.global_and_fixture_disabled():
            self._reporter.write(text, flush=True)


def summarize(reporter: pytest.TerminalReporter, gate: GateSession, outputs: Outputs) -> None:
    """Write the gate's section: verdicts worst first, then where everything is."""
    for problem in outputs.problems:
        reporter.write_line(f"gate: {problem}", red=True)
    if not gate.cases:
        return
    reporter.section(f"gate: {counts(gate.verdicts.values())}", sep="-", bold=True)
    for verdict in sorted(gate.verdicts.values(), key=_badness):
        if verdict.ratio is not None:
            colour = {"slower": "red", "inconclusive": "yellow"}.get(verdict.status, "green")
            reporter.write_line(_row(verdict), **{colour: True})
    for line in _notes(gate, outputs):
        reporter.write_line(line)


def counts(verdicts: Iterable[Verdict]) -> str:
    """Count verdicts, worst first: ``1 slower, 3 pass``."""
    statuses = [verdict.status for verdict in verdicts]
    counted = [f"{statuses.count(name)} {name}" for name in WORST_FIRST if name in statuses]
    return ", ".join(counted)


def _badness(verdict: Verdict) -> tuple[int, float]:
    return WORST_FIRST.index(verdict.status), -(verdict.ratio or 0.0)


def _row(verdict: Verdict) -> str:
    return (
        f"{verdict.status:<12} {verdict.ratio:6.3f}  "
        f"({verdict.low:.3f} to {verdict.high:.3f})  {verdict.case_id}"
    )


def _notes(gate: GateSession, outputs: Outputs) -> list[str]:
    return [*_explanations(gate, outputs), *_places(gate, outputs)]


def _explanations(gate: GateSession, outputs: Outputs) -> list[str]:
    notes = []
    machine = gate.baselines.fingerprint.id
    judged = [verdict for verdict in gate.verdicts.values() if verdict.ratio is not None]
    if judged:
        notes.append(
            f"ratio: time now over the baseline's, {CONFIDENCE:.0%} interval; "
            f"margin {gate.settings.margin:.0%}"
        )
    if any(verdict.status == "inconclusive" for verdict in judged):
        notes.append(
            "inconclusive: launches scatter too much to rule out a regression or to call one; "
            "a quieter machine or more launches (--gate-launches) would tell"
        )
    if outputs.recorded:
        why = "anew" if gate.settings.mode == "record" else "and not judged: they had no baseline"
        notes.append(f"recorded {why}: {len(outputs.recorded)} (machine {machine})")
    notes += [f"retired (no test measures it any more): {case}" for case in outputs.retired]
    notes += [
        f"incomparable: {case} has a baseline only of {gate.baselines.measured_elsewhere(case)}, "
        f"this is {machine}"
        for case, verdict in gate.verdicts.items()
        if verdict.status == "incomparable"
    ]
    return notes


def _places(gate: GateSession, outputs: Outputs) -> list[str]:
    here = gate.config.invocation_params.dir
    notes = []
    if outputs.results:
        notes.append(f"results:    {_from(here, outputs.results / 'benchmarks.json')}")
    if outputs.pictures:
        folder = _from(here, outputs.pictures[0].parent)
        notes.append(f"histograms: {folder} ({len(outputs.pictures)} SVG)")
    elif gate.judges:
        notes.append("histograms: none, nothing was compared")
    if gate.settings.mode != "off":
        notes.append(f"baselines:  {_from(here, outputs.baselines or gate.baselines.own_folder)}")
    return notes


def _from(here: Path, path: Path) -> Path:
    """Shorten a path that lies below the folder one is in."""
    return path.relative_to(here) if path.is_relative_to(here) else path
