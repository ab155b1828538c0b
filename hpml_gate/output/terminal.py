"""What people see in the terminal at the end: verdicts worst first, and where everything is."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from hpml_gate.judge.verdict import CONFIDENCE, Verdict
from hpml_gate.output.files_of_a_run import Outputs
from hpml_gate.protocol import TIME
from hpml_gate.run.session import GateSession

WORST_FIRST = ("slower", "inconclusive", "incomparable", "new", "faster", "pass")
COLOURS = {"slower": "red", "inconclusive": "yellow"}
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 16


def summarize(reporter: pytest.TerminalReporter, gate: GateSession, outputs: Outputs) -> None:
    """Write the gate's section."""
    for problem in outputs.problems:
        reporter.write_line(f"gate: {problem}", red=True)
    if not gate.cases:
        return
    if outputs.results and gate.observations:
        reporter.section("gate: self-test", sep="-", bold=True)
        reporter.write_line((outputs.results / "self-test.md").read_text(encoding="utf-8"))
        reporter.write_line(
            f"results:    {_from(gate.config.invocation_params.dir, outputs.results)}"
        )
        return
    shown = [one for one in gate.verdicts if one.metric == TIME or one.status != "pass"]
    reporter.section(f"gate: {counts(shown)}", sep="-", bold=True)
    for verdict in worst_first(shown):
        if verdict.ratio is not None:
            colour = COLOURS.get(verdict.status, "green")
            reporter.write_line(_row(verdict, gate), **{colour: True})
    for line in [*_explanations(gate, outputs), *_places(gate, outputs)]:
        reporter.write_line(line)


def counts(verdicts: Iterable[Verdict]) -> str:
    """Count verdicts, worst first: ``1 slower, 3 pass``."""
    statuses = [verdict.status for verdict in verdicts]
    counted = [f"{statuses.count(name)} {name}" for name in WORST_FIRST if name in statuses]
    return ", ".join(counted)


def worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Sort by status, then by ratio."""
    return sorted(
        verdicts, key=lambda one: (WORST_FIRST.index(one.status), -(one.ratio or 0.0), one.name)
    )


def sparkline(log_ratios: Sequence[float]) -> str:
    """Draw one bar per launch (the last few), lowest to highest."""
    shown = log_ratios[-MOST_BARS:]
    lowest, highest = min(shown), max(shown)
    span = (highest - lowest) or 1.0
    return "".join(BARS[round((one - lowest) / span * (len(BARS) - 1))] for one in shown)


def _row(verdict: Verdict, gate: GateSession) -> str:
    bars = sparkline(_launches(verdict, gate)) if verdict.metric == TIME else ""
    why = f"  ({verdict.reason})" if verdict.reason else ""
    return (
        f"{verdict.status:<12} {verdict.ratio:6.3f}  "
        f"({verdict.low:.3f} to {verdict.high:.3f})  {bars:<{MOST_BARS}}  {verdict.name}{why}"
    )


def _launches(verdict: Verdict, gate: GateSession) -> list[float]:
    """Return what each launch observed: its log ratio, or its time where there was no pair."""
    measured = next(one for one in gate.cases.values() if one.case.id == verdict.case_id)
    if measured.pairs:
        return [pair.log_ratio for pair in measured.pairs]
    return measured.samples.launch_medians_ns


def _explanations(gate: GateSession, outputs: Outputs) -> list[str]:
    machine = gate.baselines.fingerprint.id
    verdicts = gate.verdicts
    judged = [one for one in verdicts if one.ratio is not None]
    notes = [*gate.notes, *(_legend(judged, gate) if judged else [])]
    if any(one.status == "inconclusive" for one in judged):
        notes.append(
            "inconclusive: launches scatter too much to rule out a regression or to call one; "
            "a quieter machine or more launches (--gate-launches, --gate-budget) would tell"
        )
    if outputs.recorded:
        why = "anew" if gate.settings.mode == "record" else "and not judged: they had no baseline"
        notes.append(f"recorded {why}: {len(outputs.recorded)} (machine {machine})")
    if outputs.added:
        notes.append(
            f"passed and added to their baselines, to know the drift: {len(outputs.added)}"
        )
    notes += [f"retired (no test measures it any more): {case}" for case in outputs.retired]
    notes += [
        f"{one.status}: {one.name}: {one.reason}"
        for one in verdicts
        if one.ratio is None and one.reason
    ]
    return notes


def _legend(judged: Sequence[Verdict], gate: GateSession) -> list[str]:
    margins = sorted({f"{one.margin:.0%}" for one in judged})
    against = "the baseline's"
    if gate.is_paired:
        changed = len(gate.bases.repository.changed_files())
        beyond = f", {changed} files changed since HEAD" if changed else ""
        against = f"that of {gate.settings.base} ({gate.base_commit[:12]}){beyond}"
    elif any(one.against == "base" for one in judged):
        against = "the baseline's, or that of its commit where the case was a suspect"
    interval = f"{CONFIDENCE:.0%} interval; margin {', '.join(margins)}"
    return [f"ratio: time now over {against}, {interval}; bars: launches"]


def _places(gate: GateSession, outputs: Outputs) -> list[str]:
    here = gate.config.invocation_params.dir
    notes = []
    if outputs.results:
        files = "benchmarks.json, gate.json, comment.md and others"
        notes.append(f"results:    {_from(here, outputs.results)} ({files})")
    if outputs.pictures:
        folder = _from(here, outputs.pictures[0].parent)
        notes.append(f"histograms: {folder} ({len(outputs.pictures)} SVG)")
    elif gate.judges:
        notes.append("histograms: none, nothing was compared")
    if gate.settings.mode not in {"off", "paired"}:
        notes.append(f"baselines:  {_from(here, outputs.baselines or gate.baselines.own_folder)}")
    return notes


def _from(here: Path, path: Path) -> Path:
    """Shorten a path that lies below the folder one is in."""
    return path.relative_to(here) if path.is_relative_to(here) else path
