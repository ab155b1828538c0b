"""What a run leaves behind: its times, its pictures, its new baselines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate import record
from hpml_gate.baselines.session_file import BaselineError
from hpml_gate.baselines.store import MOST_SESSIONS
from hpml_gate.files import write_whole
from hpml_gate.judge.verdict import Status
from hpml_gate.output import ci_formats
from hpml_gate.output.box_plots import draw_case
from hpml_gate.output.recorder import record_of
from hpml_gate.record import Run
from hpml_gate.run.session import GateSession, MeasuredCase
from hpml_gate.run.settings import PAIRED_MARGIN
from hpml_gate.self_test import error_rates

Document = Mapping[str, Any]  # pytest-benchmark's JSON


@dataclass(kw_only=True)
class Outputs:
    """Where things were written, and what could not be."""

    exit_status: int = 0  # of the tests
    run: Run | None = None
    results: Path | None = None
    pictures: Sequence[Path] = ()
    baselines: Path | None = None
    recorded: Sequence[str] = ()
    added: Sequence[str] = ()
    retired: Sequence[str] = ()
    problems: list[str] = field(default_factory=list)  # what makes the run fail
    notes: list[str] = field(default_factory=list)


Part = Callable[[GateSession, Document, Outputs], None]


def write(gate: GateSession, exit_status: int, problems: Sequence[str] = ()) -> Outputs:
    """Write what the run measured; a problem with one output does not cost the others."""
    outputs = Outputs(exit_status=exit_status, problems=[*problems])
    if not _is_worth_writing(gate):
        return outputs
    document = adapter.document(gate.config, gate.machine_info)
    # The dearest first: times cannot be had again, pictures can.
    parts: list[Part] = [_write_times, _record]
    if gate.observations:
        parts.append(_write_self_test)
    for part in [*parts, _write_record, _write_formats, _draw, _ask_suite]:
        _try(part, gate, document, outputs)
    return outputs


def _is_worth_writing(gate: GateSession) -> bool:
    """Whether something was measured, or should have been."""
    if hasattr(gate.config, "workerinput"):  # of pytest-xdist: what it knows is not the run
        return False
    by_itself = any(cell.tables or cell.curves for cell in gate.cells.values())
    return bool(gate.cases) or by_itself or (bool(gate.cells) and gate.settings.mode != "off")


def _try(part: Part, gate: GateSession, document: Document, outputs: Outputs) -> None:
    try:
        part(gate, document, outputs)
    except BaselineError as error:
        outputs.problems.append(str(error))
    except OSError as error:
        problem = (
            f"cannot write results in {gate.settings.results} ({error.strerror or error}): "
            "make room or choose another folder with --gate-results"
        )
        if problem not in outputs.problems:
            outputs.problems.append(problem)


def _write_times(gate: GateSession, document: Document, outputs: Outputs) -> None:
    outputs.results = _new_folder(gate.settings.results)
    write_whole(outputs.results / "benchmarks.json", adapter.to_json(document))


def _write_record(gate: GateSession, document: Document, outputs: Outputs) -> None:
    outputs.run = record_of(gate, document, outputs.exit_status, outputs.problems)
    if outputs.results is not None:
        record.write(outputs.run, outputs.results)


def _write_formats(_: GateSession, __: Document, outputs: Outputs) -> None:
    if outputs.results is None or outputs.run is None:
        return
    for name, text in ci_formats.all_of(outputs.run).items():
        write_whole(outputs.results / name, text)


def _write_self_test(gate: GateSession, _: Document, outputs: Outputs) -> None:
    if outputs.results is None:
        return
    margin, budget = gate.settings.margin or PAIRED_MARGIN, gate.settings.budget
    raw = {
        "margin": margin,
        "budget_s": budget.confirm_s,
        "observations": [asdict(one) for one in gate.observations],
    }
    write_whole(outputs.results / "self-test.json", adapter.to_json(raw))
    rates = "\n".join(error_rates.summary(gate.observations, margin, budget))
    write_whole(outputs.results / "self-test.md", rates + "\n")


def _new_folder(parent: Path) -> Path:
    """Make a folder that is this run's alone, named by its time."""
    name = datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not parent.is_dir():
                raise
            number += 1
        else:
            return folder


def _record(gate: GateSession, document: Document, outputs: Outputs) -> None:
    recorded = [one.case.id for one in _passed_with(gate, "new")]
    passed = _passed_with(gate, "pass")
    added = [one.case.id for one in passed if _is_of_the_same_level(gate, one)]
    added = [] if document["commit_info"].get("dirty") else added
    retired = [one.case_id for one in gate.missing] if gate.settings.mode == "record" else []
    if not recorded and not added and not retired:
        return
    wanted = {*recorded, *added}
    rows = [row for row in document["benchmarks"] if row["extra_info"].get("case_id") in wanted]
    outputs.baselines = gate.baselines.write(
        {**document, "benchmarks": rows}, added=added, retired=retired
    )
    outputs.recorded, outputs.added, outputs.retired = recorded, added, retired


def _passed_with(gate: GateSession, status: Status) -> list[MeasuredCase]:
    """Return the cases with this verdict whose test passed, if this run may record."""
    return [
        one
        for node_id, one in gate.cases.items()
        if gate.records and node_id not in gate.failed and one.verdict.status == status
    ]


def _is_of_the_same_level(gate: GateSession, one: MeasuredCase) -> bool:
    """Whether a session is wanted to know the drift by, and shows no change of its own."""
    shows_none = (one.verdict.low or 0) <= 1 <= (one.verdict.high or 0)
    has_room = len(gate.baselines.by_case[one.case.id].sessions) < MOST_SESSIONS
    return shows_none and has_room and not one.was_suspect


def _draw(_: GateSession, __: Document, outputs: Outputs) -> None:
    """Draw what was measured; a picture that fails costs nothing else."""
    if outputs.results is None or outputs.run is None:
        return
    folder = outputs.results / "histograms"
    drawn = []
    for case in outputs.run.cases:
        try:
            drawn += [draw_case(case, folder)] if case.measurement else []
        except (OSError, ValueError, ArithmeticError) as error:
            outputs.notes.append(f"no picture of {case.case_id}: {error}")
    outputs.pictures = drawn


def _ask_suite(gate: GateSession, _: Document, outputs: Outputs) -> None:
    if outputs.results is not None:
        hook = gate.config.hook
        hook.pytest_gate_results(config=gate.config, run=outputs.run, folder=outputs.results)
