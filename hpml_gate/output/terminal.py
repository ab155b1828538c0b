"""What people see in the terminal at the end: what fails first, and where everything is."""

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpml_gate.output.box_plots import explanation
from hpml_gate.output.files_of_a_run import Outputs
from hpml_gate.record import Case, Run, Verdict
from hpml_gate.run.session import GateSession
from hpml_gate.words import counted, reason_of, sparkline, states, time_in_words

if TYPE_CHECKING:
    from rich.table import Table

MOST_COLUMNS = 100
COLOURS = {"inconclusive": "yellow", "incomparable": "yellow", "pass": "green", "faster": "green",
           "new": "cyan", "ok": "cyan"}  # fmt: skip
NOT_RUN = {"skipped", "unsupported", "no_hardware", "no_data"}
MOST_REASONS = 12  # of cells that could not run: there may be hundreds, by the same few reasons


def summarize(reporter: pytest.TerminalReporter, gate: GateSession, outputs: Outputs) -> None:
    """Write the gate's section."""
    for problem in outputs.problems:
        reporter.write_line(f"gate: {problem}", red=True)
    run = outputs.run
    if run is None or not run.cases:
        return
    if outputs.results and gate.observations:
        reporter.section("gate: self-test", sep="-", bold=True)
        reporter.write_line((outputs.results / "self-test.md").read_text(encoding="utf-8"))
    else:
        shown = states(run)
        title = counted(state for _, _, state in shown)
        reporter.section(f"gate: {title}", sep="-", bold=True)
        write_table(reporter, verdict_table([one for one in shown if one[2] not in NOT_RUN]))
    for line in [*_explanations(gate, run, outputs), *_places(gate, run, outputs)]:
        reporter.write_line(line)


def write_table(reporter: pytest.TerminalReporter, table: "Table") -> None:
    """Write one of rich's tables where pytest writes, no wider than a page."""
    if table.row_count:
        width = min(MOST_COLUMNS, reporter._tw.fullwidth)  # noqa: SLF001  shown nowhere else
        reporter.write_line(rendered(table, width, colour=reporter.hasmarkup))


def rendered(table: Any, width: int = MOST_COLUMNS, *, colour: bool = False) -> str:
    """Return a table as text."""
    from rich.console import Console

    file = StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        emoji=False,
        markup=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def verdict_table(shown: Sequence[tuple[Case, Verdict | None, str]]) -> "Table":
    """Return the table of verdicts: each case beside what it is compared with, and no other."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in ("time", "ratio", "interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("launches", no_wrap=True)
    table.add_column("case", overflow="fold")
    for case, one, state in shown:
        name = case.case_id if one is None else case.name_of(one)
        cells = [time_of(case, one), *_numbers(one), _bars(case, one)]
        table.add_row(Text(state, style=COLOURS.get(state, "red")), *cells, Text(name))
    return table


def time_of(case: Case, one: Verdict | None) -> str:
    """Return the time of a step, on the row that is of the time."""
    if case.measurement is None or (one is not None and one is not case.verdict):
        return ""
    return time_in_words(case.measurement.median_ns)


def _numbers(one: Verdict | None) -> tuple[str, str]:
    if one is None or one.ratio is None:
        return "", ""
    return f"{one.ratio:.3f}", f"{one.low:.3f} to {one.high:.3f}"


def _bars(case: Case, one: Verdict | None) -> str:
    """Draw what each launch observed: its log ratio, or its time where there was no pair."""
    if case.measurement is None or (one is not None and one is not case.verdict):
        return ""
    then = case.measurement.comparison
    return sparkline(then.log_ratios if then and then.log_ratios else
                     case.measurement.launch_medians_ns)  # fmt: skip


def _explanations(gate: GateSession, run: Run, outputs: Outputs) -> Iterator[str]:
    yield from run.notes
    yield from _legend(gate, run)
    yield from _reasons(run)
    machine = run.machine.id
    if outputs.recorded:
        why = "anew" if run.mode == "record" else "and not judged: they had no baseline"
        yield f"recorded {why}: {len(outputs.recorded)} (machine {machine})"
    if outputs.added:
        yield f"passed and added to their baselines, to know the drift: {len(outputs.added)}"
    yield from (f"retired (no test measures it any more): {case}" for case in outputs.retired)
    yield from outputs.notes


def _reasons(run: Run) -> Iterator[str]:
    """Yield each reason that is not in the numbers, once, with the cases that it holds for."""
    cases: dict[tuple[str, str], list[str]] = {}
    for case, one, state in states(run):
        if reason := reason_of(case, one):
            name = case.case_id if one is None else case.name_of(one)
            cases.setdefault((state, reason), []).append(name)
    could_not_run = [key for key in cases if key[0] in NOT_RUN]
    for (state, reason), names in cases.items():
        if (state, reason) in could_not_run[MOST_REASONS:]:
            continue
        which = names[0] if len(names) == 1 else f"{len(names)} cases"
        yield f"{state}: {which}: {reason}"
    if more := len(could_not_run[MOST_REASONS:]):
        yield f"{more} more reasons for cases that could not run: gate.json has them"


def _legend(gate: GateSession, run: Run) -> Iterator[str]:
    judged = [one for case in run.cases for one in case.verdicts if one.ratio is not None]
    if not judged:
        return
    margins = ", ".join(sorted({f"{one.margin:.0%}" for one in judged}))
    interval = f"{run.confidence:.0%} interval; margin {margins}"
    yield f"ratio: time now over {_then(gate, run, judged)}, {interval}; launches: a bar each"


def _then(gate: GateSession, run: Run, judged: Sequence[Verdict]) -> str:
    if run.base is not None:
        changed = len(gate.bases.repository.changed_files())
        beyond = f", {changed} files changed since HEAD" if changed else ""
        return f"that of {run.base.branch} ({run.base.id[:12]}){beyond}"
    if any(one.against == "base" for one in judged):
        return "the baseline's, or that of its commit where the case was a suspect"
    return "the baseline's"


def _places(gate: GateSession, run: Run, outputs: Outputs) -> Iterator[str]:
    here = gate.config.invocation_params.dir
    if outputs.results:
        files = "gate.json, benchmarks.json, comment.md and others"
        yield f"results:    {_from(here, outputs.results)} ({files})"
    if outputs.pictures:
        folder = _from(here, outputs.pictures[0].parent)
        yield f"histograms: {folder} ({len(outputs.pictures)} SVG: {explanation(run)})"
    if gate.settings.mode not in {"off", "paired", "self-test"}:
        yield f"baselines:  {_from(here, outputs.baselines or gate.baselines.own_folder)}"


def _from(here: Path, path: Path) -> Path:
    """Shorten a path that lies below the folder one is in."""
    return path.relative_to(here) if path.is_relative_to(here) else path
