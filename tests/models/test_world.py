"""Worlds of ranks: jobs, and what is left when one goes wrong."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jobs
import pytest

from hpml_models.worlds.local import LocalWorld
from hpml_models.worlds.world import RankError, World
from hpml_steps.incorrect import Incorrect

Worlds = Callable[[int], World]


def is_alive(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int]) -> list[int]:
    deadline = time.monotonic() + 20
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def meeting_places() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("hpml-world-*")}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_job_runs_on_every_rank(worlds: Worlds, size: int) -> None:
    assert worlds(size).run(jobs.add_up, 10) == [sum(10 * i for i in range(1, size + 1))] * size


def test_what_a_rank_keeps_is_there_for_the_next_job(worlds: Worlds) -> None:
    worlds(2).run(jobs.keep, 5)
    assert worlds(2).run(jobs.recall) == [5, 5]


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (
            jobs.raise_on,
            "(?s)^rank 1 of 3 raised ValueError: a planted failure\n.*raise_on",
        ),
        (jobs.exit_on, "rank 1 of 3 died: exit status 7"),
        (jobs.kill_on, "rank 1 of 3 died: exit status -9"),
        (
            jobs.hang_on,
            (
                r"(?s)^rank 0, 1, 2 of 3: no answer in 2 s\nrank 0 is here.*barrier"
                r".*rank 1 is here[^\n]*\n[^\n]*\n[^\n]*in hang_on\n.*rank 2"
            ),
        ),
    ],
)
def test_a_rank_that_fails_fails_the_job_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Callable[..., Any], says: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    world = LocalWorld(3, timeout_s=2)
    pids = world.run(jobs.pid)
    assert meeting_places()
    with pytest.raises(RankError, match=says):
        world.run(job, 1)
    assert not world.is_open
    assert wait_until_gone(pids) == []
    assert not meeting_places()
    with pytest.raises(RankError, match="closed"):
        world.run(jobs.pid)


def test_an_answer_that_cannot_be_sent_is_said(worlds: Worlds) -> None:
    with pytest.raises(RankError, match="rank 0 of 1 raised"):
        worlds(1).run(jobs.unpicklable)


def test_a_world_that_is_left_ends_its_ranks() -> None:
    with LocalWorld(2) as world:
        pids = world.run(jobs.pid)
    assert wait_until_gone(pids) == []


@pytest.fixture
def short_folder() -> Iterator[str]:
    """A temporary folder with a short name: sockets are made in it, whose paths are limited."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder


LEAVES_WITHOUT_CLOSING = """
import sys
from hpml_models.worlds.local import LocalWorld
from hpml_models.worlds.world import World
if __name__ == "__main__":
    world = LocalWorld(2)
    sys.exit(3)
"""


def test_an_owner_that_exits_without_closing_leaves_nothing(
    tmp_path: Path, short_folder: str
) -> None:
    script = tmp_path / "owner.py"
    script.write_text(LEAVES_WITHOUT_CLOSING)
    environment = {**os.environ, "TMPDIR": short_folder}
    assert subprocess.run([sys.executable, script], env=environment, check=False).returncode == 3
    assert not list(Path(short_folder).glob("hpml-world-*"))


CONTROLLER = """
import sys
import time
sys.path[:0] = {path!r}
import jobs
from hpml_models.worlds.local import LocalWorld
from hpml_models.worlds.world import World
if __name__ == "__main__":
    world = LocalWorld(2)
    print(*world.run(jobs.pid), flush=True)
    if {busy}:
        world.run(jobs.hang_on, 1)
    time.sleep(60)
"""


@pytest.mark.parametrize("busy", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ranks_leave_when_their_controller_is_ended(
    tmp_path: Path, short_folder: str, number: signal.Signals, *, busy: bool
) -> None:
    """In the midst of a collective, where they would hear nothing, and between two jobs."""
    script = tmp_path / "controller.py"
    script.write_text(CONTROLLER.format(path=[str(Path(__file__).parent)], busy=busy))
    with subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "TMPDIR": short_folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as controller:
        assert controller.stdout is not None
        pids = [int(word) for word in controller.stdout.readline().split()]
        assert len(pids) == 2
        os.kill(controller.pid, number)
        controller.wait()
    assert wait_until_gone(pids) == []
    assert not list(Path(short_folder).glob("hpml-world-*"))


def test_what_a_rank_raised_is_the_cause() -> None:
    """A wrong result on a rank is a wrong result of the case, not a broken world."""
    world = LocalWorld(2)
    with pytest.raises(RankError) as caught:
        world.run(jobs.raise_incorrect)
    assert isinstance(caught.value.__cause__, Incorrect)
