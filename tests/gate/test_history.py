"""Change points: slow creep is found, steady noise is not cut, bad files are named."""

from pathlib import Path

import numpy as np
import pytest
import records
from scipy.stats import binomtest

from hpml_gate import record
from hpml_gate.output.history import change_points, main, usual_folders
from hpml_gate.record import Commit


def test_a_step_is_found_where_it_is() -> None:
    generator = np.random.default_rng(1)
    noise = 0.01 * generator.standard_normal(24)
    series = (noise + 0.05 * (np.arange(24) >= 15)).tolist()
    assert change_points(series) == [15]


def test_a_creep_that_no_comparison_of_neighbours_shows_is_found() -> None:
    generator = np.random.default_rng(2)
    series = (0.005 * np.arange(30) + 0.01 * generator.standard_normal(30)).tolist()
    assert change_points(series)


@pytest.mark.parametrize("length", [8, 20, 50])
def test_steady_series_are_seldom_cut(length: int) -> None:
    generator = np.random.default_rng(3)
    trials = 200
    cut = sum(
        bool(change_points((0.02 * generator.standard_normal(length)).tolist()))
        for _ in range(trials)
    )
    assert binomtest(cut, trials, 0.05, alternative="greater").pvalue > 1e-3


def test_few_sessions_and_equal_times_are_not_cut() -> None:
    assert change_points([0.0, 0.0, 1.0, 1.0]) == []
    assert change_points([1.0] * 12) == []


def write_run(folder: Path, number: int, ns: float) -> None:
    run = folder / f"run-{number:02}"
    run.mkdir(parents=True)
    made = records.run(
        records.case(measurement=records.measurement([[ns], [1.01 * ns]])),
        records.case("broken", status="error"),
        datetime=f"2026-11-{number + 1:02}T10:00:00",
        commit=Commit(id=f"{number:040x}"),
    )
    record.write(made, run)


def test_the_command_says_which_commit_began_a_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(16):
        write_run(tmp_path, number, 100 + number % 3 + 10 * (number >= 9))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "gate.json").write_text("{")
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert f"from 2026-11-10T10:00:00, commit {9:040x}"[:45] in said.out
    assert "over 16 sessions on test-cpu" in said.out
    assert "0 cases without a change" in said.out  # what failed by itself is no case of a trend
    assert "left out" in said.err
    assert "broken" in said.err


def test_nothing_to_read_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "name the folders" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\ngate_baselines = "there"\n'),
        ("pytest.ini", "[pytest]\ngate_baselines = there\n"),
        ("setup.cfg", "[tool:pytest]\ngate_baselines = there\n"),
        ("other.txt", ""),
    ],
)
def test_baselines_are_looked_for_where_the_project_has_them(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    folder = "there" if text else "gate_baselines"
    assert usual_folders(tmp_path) == [tmp_path / "results", tmp_path / folder]
