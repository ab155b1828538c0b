"""The table of strategies: figures by hand, and nothing that was not measured."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import records

from hpml_gate import record
from hpml_gate.record import Case
from hpml_report.__main__ import main
from hpml_report.scaling import COLUMNS, figures, rows_of, tables
from hpml_report.scaling_figures import draw

AXES = {
    "family": "train",
    "model": "resnet18",
    "data": "synthetic",
    "preset": "tiny",
    "device": "cpu",
    "precision": "fp32",
    "batch": 16,
    "strategy": "single",
    "variant": "",
    "stages": 1,
    "micro_batches": 1,
    "device_count": 1,
    "nodes": 0,
}
LONG: dict[str, Any] = {
    "strategy": "pipeline",
    "variant": "interleaved_1f1b",
    "stages": 4,
    "micro_batches": 16,
    "device_count": 64,
    "nodes": 2,
}
HELD = {"parameter_bytes": 2**20, "optimizer_bytes": 3 * 2**20}


def case(ms: float, strategy: str = "single", **changes: Any) -> Case:
    effective, theory = changes.pop("effective", {}), changes.pop("theory", {})
    axes = {**AXES, "strategy": strategy, **changes}
    measured = records.measurement([[ms * 1e6]], effective=effective)
    return records.case(strategy, axes=axes, theory=theory, measurement=measured)


def table(*cases: Case) -> dict[str, dict[str, str]]:
    """The cells by label, of cases that are all of one problem."""
    rows = rows_of(cases)
    found = {row.label: figures(row, rows) for row in rows}
    return {
        label: {name: column.cell(one[name]) for name, column in COLUMNS.items()}
        for label, one in found.items()
    }


def printed(*cases: Case) -> list[str]:
    from hpml_gate.output.terminal import rendered

    return [line for one in tables(rows_of(cases)) for line in rendered(one).splitlines()]


def test_efficiencies_are_against_one_device_of_the_same_run() -> None:
    many = case(60, "ddp", device_count=2, batch=32)
    found = table(case(50), case(100, batch=32), many)["b32 ddp-x2"]
    assert found["speedup"] == "1.67"
    assert found["strong"] == "83%"
    assert found["weak"] == "83%"
    assert found["items_per_s"] == "533"


def test_what_was_not_measured_is_a_dash() -> None:
    many = case(60, "ddp", device_count=2)
    assert set(table(many)["b16 ddp-x2"].values()) == {"60.00", "267", "-"}


def test_what_failed_stands_in_no_table() -> None:
    unmeasured = records.unmeasured("ddp-x2", "oom")
    failed = records.case("ddp-x2", axes={**AXES, "strategy": "ddp"}, status="error")
    assert [row.label for row in rows_of([case(50), unmeasured, failed])] == ["b16 single-x1"]


def test_the_rank_that_holds_and_sends_most_counts() -> None:
    by_rank = {
        "parameter_bytes": [2**20, 2**19],
        "optimizer_bytes": [2**20, 3 * 2**19],
        "sent_bytes": [{"send": 1_000_000}, {"send": 2_000_000, "allreduce_": 1}],
        "bubble": [0.1, 0.3],
        "bubble_in_theory": 0.2,
        "utilisation": [0.5, 0.9],
    }
    theory = {"held_per_parameter_byte": 0.5, "held_per_optimizer_byte": 0.5}
    many = case(60, "pipeline", device_count=2, effective=by_rank, theory=theory)
    found = table(case(50, effective=HELD), many)["b16 pipeline-x2"]
    assert found["held_bytes"] == "2.0"
    assert found["held_share"] == found["held_ideal"] == "0.50"
    assert found["sent_bytes"] == "2.00"
    assert found["sent_ideal_bytes"] == "-"
    assert found["bubble"] == found["bubble_ideal"] == "20%"
    assert found["utilisation"] == "70%"


def test_a_mean_needs_every_rank() -> None:
    many = case(60, "ddp", device_count=2, effective={"utilisation": [0.5, None]})
    assert table(many)["b16 ddp-x2"]["utilisation"] == "-"


def test_one_device_comes_first_and_each_problem_has_its_heading() -> None:
    bf16 = [case(40, precision="bf16"), case(30, "ddp", device_count=2, precision="bf16")]
    lines = printed(case(60, "ddp"), *bf16, case(50))
    assert lines[0].strip() == "resnet18, synthetic, tiny, cpu, bf16"
    fp32 = lines.index(next(line for line in lines if "fp32" in line))
    assert [line.split()[1] for line in lines[fp32 + 2 : fp32 + 4]] == ["single-x1", "ddp-x1"]


def test_the_table_fits_its_page_and_marks_ranks_that_share_cores() -> None:
    every = {
        **HELD,
        "sent_bytes": {"allreduce_": 123_456_789},
        "bubble": 0.25,
        "bubble_in_theory": 0.2,
        "utilisation": 0.5,
        "skew_ns": 1e6,
        "oversubscribed": True,
    }
    lines = printed(case(50, effective=HELD), case(60_000, **LONG, effective=every))
    assert max(map(len, lines)) <= 100
    assert "(oversubscribed)" in " ".join(" ".join(lines).split())


def test_cases_of_other_options_are_not_compared() -> None:
    many = case(60, "ddp", device_count=2, d_model=64)
    found = rows_of([case(50, d_model=32), many])
    assert [figures(row, found)["speedup"] for row in found] == [1, None]


def test_theory_knows_no_speedup_while_ranks_wait() -> None:
    cut = case(100, "model_parallel", device_count=2, effective={"bubble_in_theory": 0.5})
    single, parallel = rows_of([case(100), cut])
    assert figures(parallel, [single, parallel])["speedup_ideal"] == 1


def test_pictures_show_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    curve = [
        case(ms, "pipeline", variant="1f1b", stages=2, device_count=2, micro_batches=count)
        for count, ms in ((2, 70), (4, 60))
    ]
    drawn = draw(rows_of([case(100), *curve]), tmp_path / "scaling")
    problem = "resnet18-synthetic-tiny-cpu-fp32"
    assert [one.name for one in drawn] == [f"speedup-{problem}.svg", f"split_size-{problem}.svg"]
    texts = ["".join(ET.parse(one).getroot().itertext()) for one in drawn]
    assert "b16 pipeline-1f1b-m4-x2" in texts[0]
    assert "micro-batches" in texts[1]


def test_one_row_alone_is_no_picture(tmp_path: Path) -> None:
    assert draw(rows_of([case(100)]), tmp_path / "scaling") == []
    assert not (tmp_path / "scaling").exists()


def test_tables_are_printed_again_from_a_runs_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = records.run(case(50), case(30, "ddp", device_count=2))
    (tmp_path / "run").mkdir()
    record.write(run, tmp_path / "run")
    (tmp_path / "gate.json").write_text('{"schema_version": 1}')
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "b16 ddp-x2" in said.out
    assert "schema version 1" in said.err
    assert main([str(tmp_path / "gate.json")]) == 2
