"""The table of strategies: figures by hand, and nothing that was not measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from hpml_models.cases.hardware import is_oversubscribed
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.pipelines.bubble import BusyTime, bubble_of_1f1b, bubble_of_order
from hpml_models.scaling.pictures import draw
from hpml_models.scaling.table import COLUMNS, Row, figures, lines
from hpml_steps.axes import cases

SETTING = Setting(device="cpu", preset="tiny")
(SINGLE,) = cases(TrainingCase, SETTING, {"strategy": ["single"], "precision": ["fp32"]})


def row(ms: float, **changes: Any) -> Row:
    effective = changes.pop("effective", {})
    return Row(case=replace(SINGLE, **changes), launch_medians_ns=[ms * 1e6], effective=effective)


def table(*rows: Row) -> dict[str, dict[str, str]]:
    """The cells by batch and layout, of rows that are all of one problem."""
    _, _, *found = lines(rows)
    cut = [line.split() for line in found]
    return {" ".join(one[:2]): dict(zip(COLUMNS, one[2:], strict=True)) for one in cut}


def test_efficiencies_are_against_one_device_of_the_same_run() -> None:
    many = row(60, strategy="ddp", device_count=2, batch=32)
    found = table(row(50), row(100, batch=32), many)["b32 ddp-x2"]
    assert found["speedup"] == "1.67"
    assert found["strong"] == "83%"
    assert found["weak"] == "83%"
    assert found["items_per_s"] == "533"


def test_what_was_not_measured_is_a_dash() -> None:
    many = row(60, strategy="ddp", device_count=2)
    assert set(table(many)["b16 ddp-x2"].values()) == {"60.00", "267", "-"}


def test_the_rank_that_holds_and_sends_most_counts() -> None:
    held = {"parameter_bytes": 2**20, "optimizer_bytes": 3 * 2**20}
    by_rank = {
        "parameter_bytes": [2**20, 2**19],
        "optimizer_bytes": [2**20, 3 * 2**19],
        "sent_bytes": [{"send": 1_000_000}, {"send": 2_000_000, "allreduce_": 1}],
        "bubble": [0.1, 0.3],
        "bubble_in_theory": 0.2,
        "utilisation": [0.5, 0.9],
    }
    many = row(60, strategy="pipeline", device_count=2, stages=2, effective=by_rank)
    found = table(row(50, effective=held), many)["b16 pipeline-x2"]
    assert found["held_bytes"] == "2.0"
    assert found["held_share"] == found["held_ideal"] == "0.50"
    assert found["sent_bytes"] == "2.00"
    assert found["bubble"] == found["bubble_ideal"] == "20%"
    assert found["utilisation"] == "70%"


def test_a_mean_needs_every_rank() -> None:
    many = row(60, strategy="ddp", device_count=2, effective={"utilisation": [0.5, None]})
    assert table(many)["b16 ddp-x2"]["utilisation"] == "-"


def test_one_device_comes_first_and_each_problem_has_its_heading() -> None:
    bf16 = row(40, precision="bf16")
    printed = list(lines([row(60, strategy="ddp", device_count=1), bf16, row(50)]))
    assert printed[0] == "resnet18, synthetic, tiny, cpu, bf16"
    assert printed[3] == "resnet18, synthetic, tiny, cpu, fp32"
    assert [line.split()[1] for line in printed[5:]] == ["single-x1", "ddp-x1"]


def test_ranks_that_share_cores_are_marked() -> None:
    shared = row(60, strategy="ddp", device_count=64, effective={"oversubscribed": True})
    *_, last = lines([row(50), shared])
    assert last.endswith("oversubscribed")
    assert is_oversubscribed(replace(SINGLE, device_count=4096))
    assert not is_oversubscribed(SINGLE)
    assert not is_oversubscribed(replace(SINGLE, device="cuda", device_count=4096))


@pytest.mark.parametrize(
    ("stages", "micro_batches", "per_rank", "expected"),
    [(1, 4, 1, 0), (2, 1, 1, 1 / 2), (4, 8, 1, 3 / 11), (2, 4, 2, 1 / 9)],
)
def test_the_bubble_in_theory(
    stages: int, micro_batches: int, per_rank: int, expected: float
) -> None:
    assert bubble_of_1f1b(stages, micro_batches, per_rank) == pytest.approx(expected)


def test_a_tables_bubble_is_its_empty_places() -> None:
    assert bubble_of_order({0: ["F", "F", "B", None], 1: [None, "F", "B"]}) == 1 - 5 / 8


def test_busy_time_is_what_is_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 10, 40, 50, 90, 100])  # step, chunk, what is left out, end of the step
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(ticks))
    busy = BusyTime("cpu")
    work, other = busy.timing(lambda: "done"), busy.leaving_out(lambda: None)
    with busy.step():
        assert work() == "done"
        other()
    assert busy.bubble() == pytest.approx(1 - 30 / 60)


def test_theory_knows_no_speedup_while_ranks_wait() -> None:
    cut = row(100, strategy="model_parallel", device_count=2, effective={"bubble_in_theory": 0.5})
    assert figures(cut, [row(100), cut])["speedup_ideal"] == 1


def test_pictures_show_what_was_measured_and_nothing_else(tmp_path: Path) -> None:
    curve = [
        row(ms, strategy="pipeline", device_count=2, stages=2, micro_batches=count, variant="1f1b")
        for count, ms in ((2, 70), (4, 60))
    ]
    drawn = draw([row(100), *curve], tmp_path / "scaling")
    problem = "resnet18-synthetic-tiny-cpu-fp32"
    assert [one.name for one in drawn] == [f"speedup-{problem}.svg", f"split_size-{problem}.svg"]
    assert all(ET.parse(one).getroot().tag.endswith("svg") for one in drawn)


def test_one_row_alone_is_no_picture(tmp_path: Path) -> None:
    assert draw([row(100)], tmp_path / "scaling") == []
    assert not (tmp_path / "scaling").exists()
