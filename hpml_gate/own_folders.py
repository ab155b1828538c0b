"""Temporary folders that carry their owner's name, so that a later run can tell who has gone.

A process that is killed cannot tidy up. The name holds the machine and the process: a folder of
this machine whose process has ended is nobody's any more.
"""

import hashlib
import os
import platform
import tempfile
from pathlib import Path

import psutil

_MADE: set[Path] = set()  # by this process


def new_folder(prefix: str) -> Path:
    """Make a temporary folder of this process."""
    folder = tempfile.mkdtemp(prefix=f"{prefix}{_machine()}-{os.getpid()}-")
    made = Path(folder).resolve()
    _MADE.add(made)
    return made


def is_abandoned(folder: Path, prefix: str) -> bool:
    """Whether a folder with this prefix was made on this machine by a process that has ended."""
    machine, _, rest = folder.name.removeprefix(prefix).partition("-")
    pid = rest.partition("-")[0]
    if not folder.name.startswith(prefix) or machine != _machine() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return folder not in _MADE  # the number of a process that was killed, given out again
    return not psutil.pid_exists(int(pid))


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
