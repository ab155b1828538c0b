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
    assert made["schema_version"] == 1
    one, two = made["cases"]
    assert (one["verdicts"][0]["status"], two["verdicts"][0]["status"]) == ("pass", "slower")
    assert (one["failed"], two["failed"]) == (False, True)
    assert len(two["launch_medians_ns"]) == 2
    process = two["effective"]["process"]
    assert process["environment"]["PYTHONHASHSEED"] == "0"
    assert process["environment"]["OMP_NUM_THREADS"] == "1"
    assert len(process["cpus"]) == 1
    assert {"steal_share", "page_faults_per_block"} < set(two["disturbances"][0])


def test_the_comment_and_the_services_files_say_the_same(run_suite: RunSuite) -> None:
    run_suite()
    folder = results(run_suite(TWO_MS="130"))
    comment = (folder / "comment.md").read_text()
    assert "1 slower, 1 pass" in comment
    assert "| ❌ slower | `test_suite.py::test_step[two]` | 1.300 |" in comment
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
