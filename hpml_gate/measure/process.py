"""One fresh interpreter: its command, its environment, the socket it answers on, and its end."""

import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from hpml_gate.clocks import REAL
from hpml_gate.measure.environment import outside_hooks

# The first message says what ``sys.path`` is to be, who answers all others, and what is to be
# prepared. ``-c`` puts the working folder first, which the path then replaces.
BOOTSTRAP = """
import importlib, os, sys
from multiprocessing.connection import Connection
os.set_inheritable(int(sys.argv[1]), False)
connection = Connection(int(sys.argv[1]))
path, keeps_own, module, packed = connection.recv()
sys.path[:] = path + (sys.path if keeps_own else [])
importlib.import_module(module).serve(connection, packed)
"""
LEAVE_S = 2.0  # how long a process whose line is closed may take to end
TAIL = 4000  # characters of what a process wrote that are shown when it died
# Coverage would be measured in the launch, too, and slow its step down.
FOREIGN_VARIABLES = (
    "COVERAGE_PROCESS_CONFIG",
    "COVERAGE_PROCESS_START",
    "COV_CORE_CONFIG",
    "COV_CORE_DATAFILE",
    "COV_CORE_SOURCE",
    "PYTEST_CURRENT_TEST",
)


class GoneError(Exception):
    """The process has ended, so there is no answer."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is started: which interpreter, where, with which variables and temporary files."""

    python: str
    folder: Path
    environment: Mapping[str, str]
    temporary: Path  # a folder of this process alone

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.temporary.with_suffix(".log")


@dataclass(kw_only=True)
class FreshProcess:
    """A process of a group of its own, that can be asked, and ended with all that it started."""

    command: Command
    _connection: Connection = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Start it."""
        self.command.temporary.mkdir()
        ours, theirs = socket.socketpair()
        with theirs, self.command.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  the interpreter that runs this, or its like
                [self.command.python, *_flags(), "-c", BOOTSTRAP, str(theirs.fileno())],
                cwd=self.command.folder,
                env=self.command.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self._connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def output(self) -> str:
        """The end of what it wrote."""
        return self.command.log.read_text(encoding="utf-8", errors="replace")[-TAIL:]

    def send(self, message: object) -> None:
        """Send a message; raises :class:`GoneError`."""
        try:
            self._connection.send(message)
        except OSError:
            raise GoneError from None

    def receive(self, timeout_s: float) -> Any:
        """Return its next message; raises TimeoutError or :class:`GoneError`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                # A child that it left may keep the socket open.
                raise GoneError if self._process.poll() is not None else TimeoutError
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise GoneError from None

    def hang_up(self) -> None:
        """Close the line: it then gives back what it holds, and leaves."""
        self._connection.close()

    def end(self, deadline_s: float) -> None:
        """Wait until it has left, at most until ``deadline_s``, then kill its whole group."""
        while self._process.poll() is None and REAL.monotonic_s() < deadline_s:
            REAL.sleep(0.002)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def how_it_died(self) -> str:
        """Describe its exit; one that lives on without its line is ended."""
        deadline_s = REAL.monotonic_s() + LEAVE_S
        while self._process.poll() is None and REAL.monotonic_s() < deadline_s:
            REAL.sleep(0.002)
        if self._process.poll() is None:
            self.end(deadline_s)
            return "the measuring process closed its line to the gate, and lived on"
        status = self._process.wait()
        if status < 0:
            return f"the measuring process was killed by signal {-status}" + _memory_hint(-status)
        return f"the measuring process exited with status {status} before it answered"


def _flags() -> list[str]:
    """Return this interpreter's own options: -O, -X, -W and the like."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001  what multiprocessing uses, too
    return flags


def variables(own: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a launch: the test's own, without what others put there."""
    kept = outside_hooks(own)
    return {**{name: kept[name] for name in kept if name not in FOREIGN_VARIABLES}, **added}


def _memory_hint(signal_number: int) -> str:
    if signal_number != signal.SIGKILL:
        return ""
    free_mib = psutil.virtual_memory().available // 2**20
    return f" (the kernel does so when memory runs out; {free_mib} MiB are free now)"
