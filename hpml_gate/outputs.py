"""What a run leaves behind: its times, its pictures, its new baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.baselines import BaselineError
from hpml_gate.pictures import draw_comparison
from hpml_gate.session import GateSession

Document = Mapping[str, Any]  # pytest-benchmark's JSON


@dataclass(kw_only=True)
class Outputs:
    """Where things were written, and what could not be."""

    results: Path | None = None
    pictures: Sequence[Path] = ()
    baselines: Path | None = None
    recorded: Sequence[str] = ()
    retired: Sequence[str] = ()
    problems: list[str] = field(default_factory=list)


def write(gate: GateSession) -> Outputs:
    """Write what the run measured; a problem with one output does not cost the others."""
    outputs = Outputs()
    if not gate.cases:
        return outputs
    document = adapter.document(gate.config, gate.machine_info)
    # The dearest first: times cannot be had again, pictures can.
    for part in (_write_results, _record, _draw):
        try:
            part(gate, document, outputs)
        except BaselineError as error:
            outputs.problems.append(str(error))
        except OSError as error:
            outputs.problems.append(
                f"cannot write results in {gate.settings.results} ({error.strerror or error}): "
                "make room or choose another folder with --gate-results"
            )
    return outputs


def _write_results(gate: GateSession, document: Document, outputs: Outputs) -> None:
    folder = _new_folder(gate.settings.results)
    (folder / "benchmarks.json").write_text(adapter.to_json(document), encoding="utf-8")
    outputs.results = folder


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
    recorded = _to_record(gate)
    retired = [one.case_id for one in gate.missing] if gate.settings.mode == "record" else []
    if not recorded and not retired:
        return
    rows = [row for row in document["benchmarks"] if row["extra_info"].get("case_id") in recorded]
    outputs.baselines = gate.baselines.write({**document, "benchmarks": rows}, retired)
    outputs.recorded, outputs.retired = recorded, retired


def _to_record(gate: GateSession) -> list[str]:
    """Choose what becomes a baseline: what has none, and only from tests that passed."""
    if not gate.records:
        return []
    return [
        case_id
        for node_id, case_id in gate.cases.items()
        if node_id not in gate.failed and gate.verdicts[case_id].status == "new"
    ]


def _draw(gate: GateSession, _: Document, outputs: Outputs) -> None:
    if outputs.results is None:
        return
    folder = outputs.results / "histograms"
    outputs.pictures = [
        draw_comparison(verdict, gate.samples[case_id], gate.baselines.by_case[case_id], folder)
        for case_id, verdict in gate.verdicts.items()
        if verdict.ratio is not None
    ]
