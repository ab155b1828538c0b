"""What a run leaves for programs: gate.json, a comment, and what CI services read."""

import json
import subprocess
import sys
from pathlib import Path

from scripted import Run, RunSuite


def results(run: Run) -> Path:
    return max(run.folder.glob("results/*"))


def test_gate_json_holds_what_a_verdict_rests_on(run_suite: RunSuite) -> None:
    run_suite()
    run = run_suite(TWO_MS="130")
    made = json.loads((results(run) / "gate.json").read_text())
    assert made["schema_version"] == 2
    one, two = made["cases"]
    assert (one["verdicts"][0]["status"], two["verdicts"][0]["status"]) == ("pass", "slower")
    assert (one["failed"], two["failed"]) == (False, True)
    assert two["axes"] == {"name": "two"}
    assert two["duration_s"] > 0
    measured = two["measurement"]
    assert measured["launches_ns"] == [[130e6] * 5] * 2
    assert measured["comparison"]["launches_ns"] == [[100e6] * 5] * 2
    process = measured["effective"]["process"]
    assert process["environment"]["PYTHONHASHSEED"] == "0"
    assert process["environment"]["OMP_NUM_THREADS"] == "1"
    assert len(process["cpus"]) == 1
    assert {"steal_share", "page_faults_per_block"} < set(measured["disturbances"][0])
    assert made["exit_status"] == 1
    assert made["command"][:2] == ["pytest", "-p"]


def test_the_comment_and_the_services_files_say_the_same(run_suite: RunSuite) -> None:
    run_suite()
    folder = results(run_suite(TWO_MS="130"))
    comment = (folder / "comment.md").read_text()
    assert "1 slower, 1 pass" in comment
    assert "| ❌ slower | `test_suite.py::test_step[two]` | 130 ms | 1.300 |" in comment
    rows = json.loads((folder / "github-action-benchmark.json").read_text())
    assert {"name", "unit", "value", "range", "extra"} == set(rows[0])
    assert "slower 1.300" in rows[1]["extra"]
    measures = json.loads((folder / "bencher.json").read_text())
    latency = measures["test_suite.py::test_step[two]"]["latency"]
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]
    assert 129e6 < latency["value"] < 131e6


def test_history_reads_the_runs_and_their_baselines_once(run_suite: RunSuite) -> None:
    for _ in range(3):
        run = run_suite("-k", "one")
    command = [sys.executable, "-m", "hpml_gate.output.history"]
    done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=True)
    assert "1 cases with fewer than 8 sessions" in done.stdout
    assert done.stderr == ""


def test_a_self_test_shows_rates_and_keeps_its_raw_times(run_suite: RunSuite) -> None:
    run = run_suite("--gate=self-test", "--gate-launches=12", "--gate-budget=0.1", "-k", "one")
    assert run.status == 0, run.output
    assert "gate: self-test" in run.output
    assert "all CPUs loaded" in run.output
    raw = json.loads((results(run) / "self-test.json").read_text())["observations"]
    assert len(raw) == 12 * 6
    assert run.sessions == []


def test_a_run_that_measured_nothing_has_its_record(run_suite: RunSuite) -> None:
    run = run_suite(ONE="wrong", SKIP="two")
    one, two = json.loads((results(run) / "gate.json").read_text())["cases"]
    assert (one["status"], one["failed"], one["measurement"]) == ("incorrect", True, None)
    assert "a wrong sum" in one["reason"]
    assert "make_wrong" in one["message"]
    assert (two["status"], two["reason"], two["failed"]) == ("skipped", "not today", False)
    assert "1 incorrect" in run.output
    assert "skipped: test_suite.py::test_step[two]: not today" in run.output


def test_a_first_run_is_drawn_and_its_pictures_explained(run_suite: RunSuite) -> None:
    run = run_suite()
    assert len(list(results(run).glob("histograms/*.svg"))) == 2
    assert "nothing to compare with yet" in run.output
    assert "(1.0)" not in run.output  # no case stands in a table with another's time


def test_a_tests_own_tables_and_curves_are_recorded(run_suite: RunSuite) -> None:
    folder = run_suite("-k", "nothing").folder
    (folder / "test_own.py").write_text(
        "from hpml_gate.record import Curve\n"
        "def test_own(gate_cell):\n"
        "    gate_cell.tables['sizes'] = [{'size': 1, 'ns': 2.5}]\n"
        "    gate_cell.curves['loss'] = Curve(by='epoch', at=[1], values=[0.5])\n"
    )
    (case,) = json.loads((results(run_suite("test_own.py")) / "gate.json").read_text())["cases"]
    assert case["tables"] == {"sizes": [{"size": 1, "ns": 2.5}]}
    assert case["curves"]["loss"]["values"] == [0.5]
    assert case["status"] == "ok"
