"""Tests of pytest-benchmark's own fixture, as they stand, through whole runs with real launches."""

import socket
from pathlib import Path

import pytest
from checkouts import commit, gate_json, git
from scripted import Run

SUITE = """
import os
import socket
import time
import pytest
import work

@pytest.fixture
def numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "numbers.txt"
    file.write_text("3")
    yield file
    file.unlink()

@pytest.fixture(scope="session")
def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(os.environ["PORT"])))
        yield taken

def test_work(benchmark, numbers):
    assert benchmark(lambda: work.work(int(open("numbers.txt").read()))) == 3

def test_alone(benchmark, port):
    benchmark(work.work, 1)

def test_skipped(benchmark):
    pytest.skip("not here")
"""
WORK = """
import time

def work(number):
    time.sleep(SECONDS)
    return number
"""

# Plugins that are not asked for here cost every launch their import.
ALONE = ("-p", "pytest_benchmark.plugin", "-p", "hpml_gate.plugin")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "test_plain.py").write_text(SUITE)
    (folder / "work.py").write_text(WORK.replace("SECONDS", "0.002"))
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / ".gitignore").write_text("results\ngate_baselines\njunit.xml\n__pycache__\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_a_suite_as_it_stands_is_judged_in_pairs(plain: Path) -> None:
    """Its fixture is torn down at the end of each launch, its port is held by one at a time."""
    (plain / "work.py").write_text(WORK.replace("SECONDS", "0.004"))
    options = "--gate=paired", "--gate-budget=0.3", "--gate-margin=20%"
    run = Run(plain, *ALONE, *options, PORT=free_port(), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert list(run.failures) == ["test_work"], run.output
    assert "of the base's time" in run.failures["test_work"]
    assert gate_json(run)["test_work time"]["status"] == "slower"
    alone = gate_json(run)["test_alone time"]
    assert alone["status"] == "incomparable"
    assert "Address already in use" in str(alone["reason"])


def test_without_a_mode_it_is_pytest_benchmarks_alone(plain: Path) -> None:
    run = Run(plain, "-k", "work")
    assert run.status == 0, run.output
    assert "gate:" not in run.output
    assert not (plain / "results").exists()
