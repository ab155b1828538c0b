"""Worlds in rank_hosts that a launcher chose: all on this machine, which pretends to be several."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jobs
import pytest
import torch.distributed as dist
from fake_ranks import environment, free_port

from hpml_models.worlds import placed
from hpml_models.worlds.connections import connect
from hpml_models.worlds.launcher import (
    Ending,
    LaunchedRank,
    LauncherError,
    Leader,
    follow,
    launched_rank,
)
from hpml_models.worlds.placed import PlacedWorld, RankHosts
from hpml_models.worlds.world import RankError

FOLLOWER = Path(__file__).parent / "fake_ranks.py"
WHOLE = environment(1, 2, 29500)


def start_follower(
    rank: int, size: int, port: int, folder: Path, timeout_s: float = 60
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(FOLLOWER), str(timeout_s)],
        env={
            **os.environ,
            **environment(rank, size, port),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PRETENDED_HOST": f"host-{rank}",
            "TMPDIR": str(folder),
        },
        stderr=subprocess.PIPE,
        text=True,
    )


class Group:
    """A leader in this process, and followers that are processes of their own."""

    def __init__(self, size: int, folder: Path) -> None:
        port = free_port()
        self.folder = folder
        self.followers = [start_follower(rank, size, port, folder) for rank in range(1, size)]
        os.environ.update(environment(0, size, port))
        launched = launched_rank(os.environ)
        assert launched is not None
        self.leader = Leader(launched, timeout_s=60)

    def world(self, timeout_s: float = 60) -> PlacedWorld:
        return PlacedWorld(RankHosts.published(), "cpu", timeout_s)

    def end(self) -> None:
        for follower in self.followers:
            follower.kill()
            follower.communicate()

    def endings(self) -> list[str]:
        return [one.communicate(timeout=30)[1].splitlines()[-1] for one in self.followers]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where parts keep their files: a short name, for sockets are among them."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Callable[[int], Group]]:
    for name in (*WHOLE, placed.RANK_HOSTS):  # so that they are gone afterwards
        monkeypatch.setenv(name, "")
    made: list[Group] = []

    def start(size: int) -> Group:
        made.append(Group(size, folder))
        return made[-1]

    yield start
    for one in made:
        one.end()


@pytest.fixture(scope="module")
def standing() -> Iterator[Group]:
    """Two ranks for those tests that leave both as they were."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for variable in (*WHOLE, placed.RANK_HOSTS):
            patch.setenv(variable, "")
        two = Group(2, Path(name))
        yield two
        two.end()


def test_a_job_runs_on_every_rank_and_each_world_is_fresh(standing: Group) -> None:
    pids = []
    for _ in range(2):
        world = standing.world()
        assert world.run(jobs.add_up, 10) == [30, 30]
        world.run(jobs.keep, 5)
        assert world.run(jobs.recall) == [5, 5]
        pids += world.run(jobs.pid)
        world.close()
    assert len({*pids}) == 4
    assert gone(pids, standing.folder)


@pytest.mark.parametrize(
    ("job", "says", "cause"),
    [
        (
            jobs.raise_on,
            "(?s)^rank 1 of 2 on host-1 raised ValueError: a planted failure\n.*raise_on",
            ValueError,
        ),
        (jobs.kill_on, "^rank 1 of 2 on host-1 died: exit status -9", type(None)),
        (
            jobs.hang_on,
            r"(?s)^rank \d of 2 on \S+: no answer in 10 s\n.*\n\nrank \d of 2 on \S+: no.*hang_on",
            TimeoutError,
        ),
    ],
)
def test_a_rank_that_fails_is_named_with_its_host_and_leaves_nothing(
    standing: Group, job: Callable[..., Any], says: str, cause: type[object]
) -> None:
    world = standing.world(timeout_s=10)
    pids = world.run(jobs.pid)
    with pytest.raises(RankError, match=says) as caught:
        world.run(job, 1)
    assert isinstance(caught.value.__cause__, cause)
    with pytest.raises(RankError, match="closed"):
        world.run(jobs.pid)
    assert gone(pids, standing.folder)


def test_other_code_is_refused(standing: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base commit's worktree, say, which the other machines do not have."""
    monkeypatch.setattr(placed, "code_here", lambda: "another version")
    with pytest.raises(RankError, match="rank 1 of 2 on host-1 has other code than rank 0: Python"):
        standing.world()


def test_a_caller_without_the_token_is_turned_away(standing: Group) -> None:
    rank_host = RankHosts.published().ranks[1]
    with (
        connect(rank_host.address, rank_host.port, "a guess") as connection,
        pytest.raises((EOFError, OSError)),
    ):
        connection.recv()
    assert standing.leader.loss() is None


def test_a_follower_that_is_killed_is_lost_in_the_midst_of_a_job_and_before_the_next(
    group: Callable[[int], Group], folder: Path
) -> None:
    two = group(2)
    world = two.world()
    pids = world.run(jobs.pid)
    assert two.leader.loss() is None
    two.followers[0].kill()
    with pytest.raises(RankError, match=r"^rank 1 of 2 on host-1 is lost"):
        world.run(jobs.hang_on, 1)
    assert str(two.leader.loss()).startswith("rank 1 on host-1 is lost")
    with pytest.raises(RankError, match=r"rank 1 of 2 on host-1 is lost.*refused"):
        two.world()
    assert gone(pids, folder)


def test_a_follower_that_is_ended_takes_its_rank_with_it(
    group: Callable[[int], Group], folder: Path
) -> None:
    two = group(2)
    world = two.world()
    pids = world.run(jobs.pid)
    two.followers[0].send_signal(signal.SIGINT)
    with pytest.raises(RankError, match=r"^rank 1 of 2 on host-1 is lost"):
        world.run(jobs.hang_on, 1)
    assert gone(pids, folder)


def test_the_others_end_as_rank_0_does(group: Callable[[int], Group]) -> None:
    three = group(3)
    assert three.leader.hosts == [socket.gethostname(), "host-1", "host-2"]
    assert three.leader.machines == ["1: a machine", "2: a machine"]
    three.leader.end(Ending(1, "says who"))
    assert three.endings() == ["1: says who"] * 2


def gone(pids: list[int], folder: Path) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids) and not list(folder.iterdir()):
            return True
        time.sleep(0.05)
    return False


def test_rank_0_that_is_lost_ends_the_others(group: Callable[[int], Group]) -> None:
    two = group(2)
    for connection in two.leader._connections.values():  # noqa: SLF001  what the kernel does when it dies
        connection.close()
    assert two.endings()[0].startswith(f"rank 0 on {socket.gethostname()} is lost: its process")


def launched_by(monkeypatch: pytest.MonkeyPatch, rank: int, size: int, port: int) -> LaunchedRank:
    for name, value in environment(rank, size, port).items():
        monkeypatch.setenv(name, value)
    launched = launched_rank(os.environ)
    assert launched is not None
    return launched


@pytest.fixture
def agent_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a store that the launcher holds, as torchrun does."""
    port = free_port()
    store = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    yield port
    del store


def test_ranks_that_do_not_come_are_named(
    monkeypatch: pytest.MonkeyPatch, agent_store: int
) -> None:
    launched = launched_by(monkeypatch, 0, 3, agent_store)
    with pytest.raises(LauncherError, match=r"rank 1, 2 did not come within 0\.5 s"):
        Leader(launched, timeout_s=0.5)


def test_rank_0_that_does_not_come_is_an_error(
    monkeypatch: pytest.MonkeyPatch, agent_store: int
) -> None:
    launched = launched_by(monkeypatch, 1, 2, agent_store)
    with pytest.raises(LauncherError, match=r"rank 0 did not come within 1 s"):
        follow(launched, "", timeout_s=1)


def test_a_port_that_is_in_use_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        launched = launched_by(monkeypatch, 0, 2, port)
        with pytest.raises(LauncherError, match=f"port {port} of 127.0.0.1 is in use: choose"):
            Leader(launched, timeout_s=2)


def test_a_follower_does_not_wait_for_what_is_no_store(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        follower = start_follower(1, 2, port, folder, timeout_s=1)
        assert follower.communicate(timeout=60)[1] == f"port {port} of 127.0.0.1 does not answer\n"
        assert follower.returncode == 1


@pytest.mark.parametrize("missing", list(WHOLE))
def test_half_an_environment_is_refused(missing: str) -> None:
    half = {name: value for name, value in WHOLE.items() if name != missing}
    with pytest.raises(LauncherError, match=f"set but not {missing}: a launcher"):
        launched_rank(half)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"RANK": "one"}, "RANK='one' is no number"),
        ({"RANK": "2"}, "RANK 2 is no rank of WORLD_SIZE 2"),
        ({"WORLD_SIZE": "0"}, "RANK 1 is no rank of WORLD_SIZE 0"),
        ({"MASTER_PORT": "65536"}, "MASTER_PORT 65536 is no port"),
    ],
)
def test_an_environment_that_means_nothing_is_refused(wrong: Mapping[str, str], says: str) -> None:
    with pytest.raises(LauncherError, match=says):
        launched_rank({**WHOLE, **wrong})


def test_no_launcher_or_one_process_is_no_launch() -> None:
    assert launched_rank({"PATH": "/bin"}) is None
    assert launched_rank(environment(0, 1, 29500)) is None
