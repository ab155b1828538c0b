"""The suite under torchrun: on one machine, and on two that are network namespaces of this one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hosts import TORCHRUN, Host, two_hosts, why_no_hosts
from processes import wait_for

ROOT = Path(__file__).parents[2]
DDP = ("--model=resnet18", "--strategy=ddp", "--precision=fp32", "--device=cpu")
DDP_2 = (*DDP, "--device-count=2")
START = 90  # seconds that a busy machine may take for what a test waits for


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Host, Host]]:
    if reason := why_no_hosts():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory() as folder, two_hosts() as hosts:
        monkeypatch.setenv("TMPDIR", folder)  # what is killed leaves its files
        yield hosts


def suite(folder: Path, *arguments: str) -> list[str]:
    """Return what torchrun is to run; all that it records and reports is below ``folder``."""
    kept = [f"--gate-{kind}={folder / kind}" for kind in ("baselines", "results")]
    return ["-m", "pytest", "-c", "pyproject.toml", "benchmarks/test_training.py",
            "--gate-launches=2", f"--junit-xml={folder / 'junit.xml'}", *kept,
            *arguments]  # fmt: skip


class TwoHosts:
    """One run over both hosts."""

    def __init__(self, folder: Path, hosts: Sequence[Host], arguments: Sequence[str]) -> None:
        self.folder = folder
        self.hosts = hosts
        self.arguments = arguments
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, rank: int, **environment: str) -> None:
        nodes = ["--nnodes=2", "--nproc-per-node=1", f"--node-rank={rank}"]
        master = [f"--master-addr={self.hosts[0].address}", "--master-port=29500"]
        command = [*TORCHRUN, *nodes, *master, *suite(self.folder, *self.arguments)]
        environment = {"PYTHONPATH": str(ROOT), **environment}
        output = self.folder / f"output-{rank}"
        self.started.append(self.hosts[rank].start(output, *command, **environment))

    def output(self, rank: int) -> str:
        return (self.folder / f"output-{rank}").read_text()

    def ends(self, rank: int, timeout_s: float = 600) -> int:
        return self.started[rank].wait(timeout_s)

    def is_measuring(self) -> bool:
        assert self.started[0].poll() is None, self.output(0)
        return "launch 1 of 2" in self.output(0) and len(self.hosts[1].pids()) > 4


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def benchmarks(folder: Path) -> dict[str, dict[str, object]]:
    """Return what each case says of itself, out of the only results that there are."""
    (results,) = (folder / "results").glob("*/benchmarks.json")
    (_,) = (folder / "baselines").glob("*/*.json")
    document = json.loads(results.read_text())
    return {one["name"]: one["extra_info"] for one in document["benchmarks"]}


def test_two_hosts_measure_one_case_and_record_it_once(
    tmp_path: Path, pair: tuple[Host, Host]
) -> None:
    run = TwoHosts(tmp_path, pair, [*DDP, "--device-count=1,2,4", "-rs", "-k", "not x1"])
    run.start(0)
    run.start(1)
    assert [run.ends(0), run.ends(1)] == [0, 0], run.output(0)
    assert "launched: 2 ranks on host-a, host-b" in run.output(0)
    assert "1 passed, 1 skipped" in run.output(0)
    assert "the launcher has placed 2 ranks: a case runs on all of them or on one" in run.output(0)
    assert not {"passed", "test session starts", "gate:"} & {*run.output(1).split()}
    made = benchmarks(tmp_path)
    effective = made["train-resnet18-synthetic-tiny-b16-ddp-x2-n2-cpu-fp32"]["effective"]
    assert isinstance(effective, dict)
    assert (effective["world_size"], effective["backend"]) == (2, "gloo")
    assert effective["replicas_differ_by"] == 0
    assert all(host.is_quiet() for host in pair)


def test_a_failure_on_the_other_host_fails_both_and_is_named(
    tmp_path: Path, pair: tuple[Host, Host]
) -> None:
    run = TwoHosts(tmp_path, pair, DDP_2)
    run.start(0)
    run.start(1, GLOO_SOCKET_IFNAME="nowhere")
    assert [run.ends(0), run.ends(1)] == [1, 1]
    assert "rank 1 of 2 on host-b raised RuntimeError" in run.output(0)
    assert "nowhere" in run.output(0)
    assert "rank 1 ends, exit status 1: benchmarks/test_training.py" in run.output(1)
    assert "rank 1 of 2 on host-b raised RuntimeError" in run.output(1)
    assert not list(tmp_path.glob("baselines/*/*.json"))
    assert all(host.is_quiet() for host in pair)


@pytest.mark.parametrize("loss", ["killed", "cut off"])
def test_a_host_that_is_lost_in_the_midst_ends_the_run(
    tmp_path: Path, pair: tuple[Host, Host], loss: str
) -> None:
    run = TwoHosts(tmp_path, pair, DDP_2)
    run.start(0)
    run.start(1)
    wait_for(run.is_measuring)
    pair[1].kill_all() if loss == "killed" else pair[1].cut_off()
    assert run.ends(0, timeout_s=START) == 1
    assert "of 2 on host-b is lost" in run.output(0), run.output(0)
    assert pair[0].is_quiet()
    assert run.ends(1, timeout_s=START) != 0
    if loss == "cut off":
        assert "rank 0 on host-a is lost" in run.output(1)
    assert pair[1].is_quiet()
    assert not list(tmp_path.glob("baselines/*/*.json"))


def test_ctrl_c_on_the_first_host_ends_both(tmp_path: Path, pair: tuple[Host, Host]) -> None:
    run = TwoHosts(tmp_path, pair, DDP_2)
    run.start(0)
    run.start(1)
    wait_for(run.is_measuring)
    run.started[0].send_signal(signal.SIGINT)
    assert run.ends(0, timeout_s=START) != 0
    assert run.ends(1, timeout_s=START) != 0
    assert "rank 1 ends, exit status 2" in run.output(1)
    assert all(host.is_quiet() for host in pair)


def test_one_machine_with_two_ranks(tmp_path: Path) -> None:
    arguments = suite(tmp_path, *DDP_2, "--gate=off")
    command = [*TORCHRUN, "--standalone", "--nproc-per-node=2", *arguments]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 1
    (results,) = tmp_path.glob("results/*/benchmarks.json")
    assert "train-resnet18-synthetic-tiny-b16-ddp-x2-n1-cpu-fp32" in results.read_text()


@pytest.mark.parametrize(
    ("environment", "arguments", "says"),
    [
        ({"RANK": "0"}, [], "RANK set but not WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
        ({}, ["--gate=paired"], "--gate paired and self-test compare what is started here"),
        ({}, ["-n2"], "-n: a launcher's ranks are one run"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(
    environment: dict[str, str], arguments: list[str], says: str
) -> None:
    whole = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1",
             "MASTER_PORT": "29500"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "benchmarks", *arguments],
        env={**os.environ, **(environment or whole)},
        text=True,
        capture_output=True,
        check=False,
        timeout=START,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {says}" in done.stderr
    assert "Traceback" not in done.stderr
