"""Waiting for a condition, and finding what a session of processes has left."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120  # a busy machine takes its time to start a launch
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_of_session(leader: int) -> list[str]:
    """Return a session's living processes; /proc/PID/stat has state, parent, group, session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            found.append(stat.parent.name)
    return found
