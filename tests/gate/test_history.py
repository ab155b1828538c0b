"""Change points: slow creep is found, steady noise is not cut, bad files are named."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from hpml_gate.output.history import change_points, main


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
    document = {
        "datetime": f"2026-11-{number + 1:02}T10:00:00",
        "commit": {"id": f"{number:040x}"},
        "machine": {"id": "test-cpu"},
        "cases": [{"case_id": "a case", "launch_medians_ns": [ns, 1.01 * ns]}],
    }
    (run / "gate.json").write_text(json.dumps(document))


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
    assert "left out" in said.err
    assert "broken" in said.err


def test_nothing_to_read_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "name the folders" in capsys.readouterr().err
