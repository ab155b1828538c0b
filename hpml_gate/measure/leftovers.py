"""What launches could leave behind: their folders, and the processes that worked in them.

Every process of a launch has the launch's folder as its TMPDIR, and so has whatever it starts:
that tells them from all others, also when they left their process group or lost their parent.

This file is also a program. It waits until the run that started it is over, however that ended,
and removes what it was told of and still stands.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

import psutil

PREFIX = "hpml-launch-"


@contextmanager
def launch_folder() -> Iterator[Path]:
    """Yield a folder for the temporary files of a launch; it goes with whoever works in it."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
    watch(folder)
    try:
        yield folder
    finally:
        remove(folder)


def watch(folder: Path) -> None:
    """Have ``folder`` removed, with the processes that work in it, when this process is gone."""
    _watcher(os.getpid()).write(f"{folder}\n")
    _watcher(os.getpid()).flush()


def remove(folder: Path) -> None:
    """Kill the processes whose temporary folder this is, then remove it."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and _works_in(process, folder):
                process.send_signal(signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    return Path(process.environ().get("TMPDIR", "/")).is_relative_to(folder)


@cache
def _watcher(_pid: int) -> IO[str]:
    """Start the program below for this process; it reads folders until this process is gone."""
    started = subprocess.Popen(  # noqa: S603  our own file
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",
        start_new_session=True,  # what ends a session or a group is not to end it
    )
    started.returncode = 0  # it outlives this process, so nobody waits for it, nor warns of that
    if started.stdin is None:
        raise RuntimeError("a pipe was asked for and none was made")
    return started.stdin


@cache
def _sweep() -> None:
    """Remove, once, what runs left whose watcher was killed with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            remove(folder)


def _remove_when_told() -> None:
    for folder in [Path(line.removesuffix("\n")) for line in sys.stdin]:
        if folder.exists():
            remove(folder)


if __name__ == "__main__":
    _remove_when_told()
