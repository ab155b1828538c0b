"""The gate when something goes wrong: one clear message, a failing exit status, nothing lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import processes_of_session, wait_for
from scripted import SUITE, RunSuite


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("wrong", "incorrect", "a wrong sum"),
        ("raising", "error", "RuntimeError: no such thing"),
        ("dying", "error", "killed by signal 9"),
        ("hanging", "timeout", "--gate-timeout"),
        ("out_of_memory", "oom", "MemoryError"),
    ],
)
def test_a_step_that_fails_fails_its_own_test_only(
    run_suite: RunSuite, kind: str, status: str, says: str
) -> None:
    (session,) = run_suite().sessions
    before = session.read_bytes()
    run = run_suite("--gate-timeout=5", ONE=kind)
    assert run.status == 1
    assert list(run.failures) == ["test_step[one]"]
    assert run.failures["test_step[one]"].startswith(f"Failed: {status}:")
    assert says in run.failures["test_step[one]"]
    assert "1 pass" in run.output
    assert session.read_bytes() == before
    assert cases_of(run.sessions[-1]) == ["test_suite.py::test_step[two]"]


@pytest.mark.parametrize("how", [("-n2",), ("--benchmark-disable",)])
def test_where_nothing_can_be_timed_nothing_passes(
    run_suite: RunSuite, how: tuple[str, ...]
) -> None:
    run = run_suite(*how, "--gate=judge")
    assert run.status == 1
    assert "--gate off" in run.failures["test_step[one]"]
    untimed = run_suite(*how)
    assert untimed.status == 0
    assert "2 tests ran once, untimed, and were not judged" in untimed.output
    assert untimed.sessions == []


def test_a_damaged_baseline_ends_the_run_before_it_measures(run_suite: RunSuite) -> None:
    (session,) = run_suite().sessions
    half = session.read_text()[:1000]
    session.write_text(half)
    run = run_suite()
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert str(session) in run.output
    assert "Traceback" not in run.output
    assert session.read_text() == half


def test_a_baseline_folder_that_cannot_be_written_ends_the_run_first(
    run_suite: RunSuite,
) -> None:
    run = run_suite("--gate-baselines=pytest.ini")
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "cannot write baselines" in run.output
    assert not list(run.folder.glob("results/*"))


def test_results_that_cannot_be_written_cost_no_baseline(run_suite: RunSuite) -> None:
    run = run_suite("--gate-results=pytest.ini")
    assert run.status == 1
    assert "cannot write results" in run.output
    assert len(run.sessions) == 1


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--gate=maybe", "invalid choice: 'maybe'"),
        ("--gate-margin=0.1", "not a percentage"),
        ("--gate-margin=-5%", "not a percentage"),
        ("--gate-launches=1", "launches are the replicates"),
        ("--gate-timeout=never", "not a positive number"),
    ],
)
def test_a_bad_option_is_named(run_suite: RunSuite, option: str, says: str) -> None:
    run = run_suite(option)
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert says in run.output


def test_no_terminal_is_no_excuse(run_suite: RunSuite) -> None:
    run_suite()
    assert run_suite("-p", "no:terminal", TWO_MS="130").status == 1


def test_what_cannot_be_sent_to_a_launch_is_said(run_suite: RunSuite) -> None:
    suite = run_suite().folder / "test_suite.py"
    unsendable = "bench(lambda name: prepare(name), name)"
    suite.write_text(SUITE.replace("bench(prepare, name)", unsendable))
    assert "give bench a function of a module" in run_suite().failures["test_step[one]"]


def test_two_tests_of_one_id_are_refused(run_suite: RunSuite) -> None:
    suite = run_suite().folder / "test_suite.py"
    suite.write_text(SUITE.replace("bench(prepare, name)", "bench(prepare, name, case_id='same')"))
    run = run_suite("--gate=off")
    assert list(run.failures) == ["test_step[two]"]
    assert "measured twice" in run.failures["test_step[two]"]


def test_ctrl_c_ends_the_launch_and_keeps_what_was_measured(run_suite: RunSuite) -> None:
    folder = run_suite("--gate=off").folder
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--gate-launches=2"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "TWO": "hanging"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # its processes can be told from others
    ) as pytest_run:
        wait_for((folder / "hanging").exists)
        pytest_run.send_signal(signal.SIGINT)
        assert pytest_run.wait(30) == pytest.ExitCode.INTERRUPTED
    wait_for(lambda: not processes_of_session(pytest_run.pid))
    (session,) = folder.glob("gate_baselines/*/*.json")
    assert len(json.loads(session.read_text())["benchmarks"]) == 1


FULL_DISK = """
import resource, sys
import pytest
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # no file can grow beyond this
sys.exit(pytest.main(["-p", "no:cacheprovider", "--gate-launches=2", "--gate=record"]))
"""


def test_a_full_disk_is_said_and_costs_no_earlier_baseline(run_suite: RunSuite) -> None:
    first = run_suite()
    before = first.sessions[0].read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK],
        cwd=first.folder,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot write results" in done.stdout
    assert "cannot write baselines" in done.stdout
    assert first.sessions[0].read_bytes() == before
    assert list(first.sessions[0].parent.iterdir()) == first.sessions


def cases_of(session: Path) -> list[str]:
    rows = json.loads(session.read_text())["benchmarks"]
    return [row["extra_info"]["case_id"] for row in rows]
