"""Launches: steps prepared in processes of their own, and timed there block by block.

A process is the replicate: memory layout, thread placement and allocator state are drawn anew
with each, and they move a step's time by more than its iterations scatter.
"""

import os
import pickle
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import execnet

from hpml_gate.measure.block import time_block
from hpml_gate.measure.environment import pin, quiet_environment
from hpml_gate.measure.worker import BOOTSTRAP, Facts, Greeting, StepRequest
from hpml_gate.protocol import BlockTime, Timer

TICK_S = 1.0  # how often whoever waits is told that the launch still runs
STOP_S = 2.0  # how long a process may take to leave before it is killed


class LaunchError(Exception):
    """A launch gave no samples; ``status`` says which kind of failure it was."""

    def __init__(self, status: str, summary: str, details: str = "", side: str = "") -> None:
        """Keep the kind, the one-line reason, what is known beyond it, and the side it was on."""
        super().__init__(summary)
        self.status = status
        self.details = details
        self.side = side


@dataclass(frozen=True, kw_only=True)
class Side:
    """One version of the code: the interpreter and the ``sys.path`` that find it."""

    name: str = "head"
    python: str = sys.executable
    path: Sequence[str] = field(default_factory=lambda: tuple(sys.path))
    has_own_packages: bool = False  # those of the interpreter, found behind this path
    folder: Path | None = None  # where its processes start; None: where this one is
    root: str = ""  # where its own code lies
    foreign: str | None = None  # a folder that nothing else may be imported from, but the gate


@dataclass(kw_only=True)
class Deadline:
    """How long a launch may take, and whom to tell, each second, that it still runs."""

    timeout_s: float
    tick: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        """Start counting."""
        self._deadline_s = time.monotonic() + self.timeout_s

    @property
    def is_over(self) -> bool:
        """Whether the launch has had its time."""
        return time.monotonic() >= self._deadline_s


class Worker:
    """A fresh process that holds one step; its messages are in :mod:`hpml_gate.measure.worker`."""

    def __init__(self, gateway: execnet.Gateway, side: Side, deadline: Deadline) -> None:
        """Start the far end."""
        self.side = side
        self._gateway = gateway
        self._deadline = deadline
        with self._told_of_death():
            self._channel = gateway.remote_exec(BOOTSTRAP)
            self._channel.send(([*side.path], side.has_own_packages))
        greeting: Greeting = self.ask("greet")
        self.python = greeting.python
        self._pid = greeting.pid

    def ask(self, method: str, *arguments: object) -> Any:
        """Send a request and wait for its answer."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: object) -> None:
        """Send a request; :meth:`receive` brings the answer."""
        with self._told_of_death():
            self._channel.send(pickle.dumps((method, *arguments)))

    def receive(self) -> Any:
        """Wait for the answer; raises :class:`LaunchError` if it is none."""
        kind, answer = self._next_message()
        if kind == "raised":
            raise self._error(answer["status"], answer["summary"], answer["traceback"])
        return pickle.loads(answer)  # noqa: S301  our own child process wrote it

    def time(self, iterations: int, timer: Timer = time_block) -> Sequence[BlockTime]:
        """Time one block: a time per rank."""
        blocks: Sequence[BlockTime] = self.ask("time", iterations, timer)
        return blocks

    def facts(self) -> Facts:
        """Read back what took effect."""
        facts: Facts = self.ask("facts")
        return facts

    def check_origin(self) -> None:
        """Raise if this side computes with the other's code: the comparison would be vacuous."""
        if self.side.foreign and (
            file := self.ask("stray_module", self.side.foreign, self.side.root)
        ):
            raise self._error(
                "error", f"the {self.side.name} imported {file}, which is not its own"
            )

    def pin(self, cpus: Sequence[int]) -> None:
        """Hold the process, and its ranks, to ``cpus``."""
        pin(self._pid, cpus)

    def _next_message(self) -> tuple[str, Any]:
        with self._told_of_death():
            while not self._deadline.is_over:
                self._deadline.tick()
                with suppress(execnet.TimeoutError):
                    message: tuple[str, Any] = self._channel.receive(TICK_S)
                    return message
        raise self._error(
            "timeout",
            f"the launch gave no answer within {self._deadline.timeout_s:g} s (--gate-timeout)",
        )

    @contextmanager
    def _told_of_death(self) -> Iterator[None]:
        try:
            yield
        except execnet.RemoteError as error:  # what even the worker could not catch: sys.exit()
            raise self._error("error", "the step ended its process", str(error)) from None
        except (EOFError, OSError):
            raise self._error("error", _how_it_died(self._gateway)) from None

    def _error(self, status: str, summary: str, details: str = "") -> LaunchError:
        return LaunchError(status, summary, details, self.side.name)


@contextmanager
def workers(
    orders: Sequence[tuple[Side, StepRequest]],
    cpus: Sequence[int],
    cpu_count: int | None,
    deadline: Deadline,
) -> Iterator[list[Worker]]:
    """Start a worker for each order, prepared at the same time, then all held to ``cpus``.

    They end with the context, by force where asking does not help.
    """
    packed = [_packed(order) for _, order in orders]
    with _processes(cpu_count) as start:
        started = [Worker(start(side), side, deadline) for side, _ in orders]
        for worker, order in zip(started, packed, strict=True):
            worker.send("prepare", order)
        for worker in started:
            worker.receive()
        for worker in started:
            worker.check_origin()
            worker.pin(cpus)
        yield started


@contextmanager
def _processes(cpu_count: int | None) -> Iterator[Callable[[Side], execnet.Gateway]]:
    """Give what starts a side's process; all of them, and what they leave, go with the context.

    Workers leave without tidying up, or are killed, so their temporary files (sockets of
    multiprocessing, say) are in a folder that is removed for them.
    """
    with tempfile.TemporaryDirectory(prefix="hpml-launch-", ignore_cleanup_errors=True) as folder:
        environment = {**quiet_environment(cpu_count), "TMPDIR": folder}
        group = execnet.Group()
        try:
            yield lambda side: group.makegateway(_specification(side, environment))
        finally:
            group.terminate(timeout=STOP_S)


def _packed(order: StepRequest) -> bytes:
    try:
        return pickle.dumps(order)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise LaunchError(
            "error",
            f"{order.prepare!r} or its arguments cannot be sent to a fresh process ({error}): "
            "give bench a function of a module and plain data",
        ) from None


def _specification(side: Side, environment: Mapping[str, str]) -> str:
    """Return a command for the side's interpreter, its environment set before it starts."""
    assignments = [f"{name}={value}" for name, value in environment.items()]
    if side.has_own_packages:
        assignments = ["-u", "PYTHONPATH", *assignments]
    folder = f"//chdir={side.folder}" if side.folder else ""
    return f"popen//python={shlex.join(['env', *assignments, side.python])}{folder}"


def _how_it_died(gateway: execnet.Gateway) -> str:
    status = gateway._io.wait()  # noqa: SLF001  execnet shows a process's exit status nowhere else
    if status is not None and status < 0:
        return f"the measuring process was killed by signal {-status}" + _memory_hint(-status)
    return f"the measuring process exited with status {status} before it answered"


def _memory_hint(signal_number: int) -> str:
    out_of_memory_killer = 9
    if signal_number != out_of_memory_killer:
        return ""
    free_mib = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return f" (the kernel does so when memory runs out; {free_mib} MiB are free now)"
