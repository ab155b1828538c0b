"""Launches: steps prepared in processes of their own, and timed there block by block.

A process is the replicate: memory layout, thread placement and allocator state are drawn anew
with each, and they move a step's time by more than its iterations scatter.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hpml_gate.clocks import REAL
from hpml_gate.measure.block import time_block
from hpml_gate.measure.environment import pin, quiet_environment
from hpml_gate.measure.leftovers import launch_folder
from hpml_gate.measure.origins import Code
from hpml_gate.measure.process import Command, FreshProcess, GoneError, variables
from hpml_gate.measure.worker import Facts, Greeting, UnsendableError
from hpml_gate.protocol import BlockTime, Timer

TICK_S = 1.0  # how often whoever waits is told that the launch still runs
STOP_S = 2.0  # how long a process may take to leave before it is killed


class LaunchError(Exception):
    """A launch gave no samples; ``status`` says which kind of failure it was.

    ``ended`` is what a test's launch left when its test was over: its reports, above all.
    """

    def __init__(
        self,
        status: str,
        summary: str,
        details: str = "",
        side: str = "",
        ended: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the kind, the one-line reason, what is known beyond it, and the side it was on."""
        super().__init__(summary)
        self.status = status
        self.details = details
        self.side = side
        self.ended = ended


def _unmoved(path: Path) -> Path:
    return path


@dataclass(frozen=True, kw_only=True)
class Side:
    """One version of the code: the interpreter and the ``sys.path`` that find it."""

    name: str = "head"
    python: str = sys.executable
    path: Sequence[str] = field(default_factory=lambda: tuple(sys.path))
    has_own_packages: bool = False  # those of the interpreter, found behind this path
    moved: Callable[[Path], Path] = _unmoved  # where it has what this checkout has at a path
    code: Code | None = None  # what proves that it ran its own; None: nothing is compared


class Request(Protocol):
    """What a launch is asked to prepare: a step, or a test up to the call that is timed."""

    @property
    def folder(self) -> Path:
        """Where it works."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that it finds."""

    @property
    def answers(self) -> str:
        """The module whose ``serve`` answers for it in the launch."""

    @property
    def is_test(self) -> bool:
        """Whether its launch is a whole test, whose fixtures may need something for themselves."""

    def packed(self, moved: Callable[[Path], Path]) -> bytes:
        """Return what to prepare, for a side that has a path's files at ``moved(path)``."""

    def keep(self, side: str, ended: Mapping[str, Any]) -> None:
        """Keep what a test's launch left on a side."""


@dataclass(kw_only=True)
class Deadline:
    """How long a launch may take, and whom to tell, each second, that it still runs."""

    timeout_s: float
    tick: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        """Start counting."""
        self._deadline_s = REAL.monotonic_s() + self.timeout_s

    @property
    def is_over(self) -> bool:
        """Whether the launch has had its time."""
        return REAL.monotonic_s() >= self._deadline_s


class Worker:
    """A fresh process that holds one step; its messages are in :mod:`hpml_gate.measure.worker`."""

    def __init__(
        self,
        process: FreshProcess,
        side: Side,
        request: Request,
        packed: bytes,
        deadline: Deadline,
    ) -> None:
        """Send the far end where its code lies; :meth:`greet` waits until it is there."""
        self.side = side
        self._process = process
        self._request = request
        self._deadline = deadline
        self.python = ""
        self._send(([*side.path], side.has_own_packages, request.answers, packed))
        self.send("greet")

    def greet(self) -> None:
        """Wait until the process is there, and has found what it is to prepare."""
        greeting: Greeting = self.receive()
        self.python = greeting.python

    def ask(self, method: str, *arguments: object) -> Any:
        """Send a request and wait for its answer."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: object) -> None:
        """Send a request; :meth:`receive` brings the answer."""
        self._send((method, *arguments))

    def receive(self) -> Any:
        """Wait for the answer; raises :class:`LaunchError` if it is none."""
        kind, answer = self._next_message()
        if kind == "answer":
            return answer
        if kind == "raised":
            ended = self._next_message()[1] if self._request.is_test else None
            raise self._error(answer["status"], answer["summary"], answer["traceback"], ended)
        raise self._error(answer["status"], answer["summary"], ended=answer)

    def finish(self) -> None:
        """Let a test go on after the call that was timed, and keep what it leaves."""
        if not self._request.is_test:
            return
        self.send("finish")
        ended: Mapping[str, Any] = self._next_message()[1]
        if ended["status"] != "measured":
            raise self._error(ended["status"], ended["summary"], ended=ended)
        self._request.keep(self.side.name, ended)

    def time(self, iterations: int, timer: Timer = time_block) -> Sequence[BlockTime]:
        """Time one block: a time per rank."""
        blocks: Sequence[BlockTime] = self.ask("time", iterations, timer)
        return blocks

    def facts(self) -> Facts:
        """Read back what took effect."""
        facts: Facts = self.ask("facts")
        return facts

    def check_origin(self) -> None:
        """Raise if this side does not run its own code: a comparison would say nothing."""
        if (code := self.side.code) is None:
            return
        if problem := code.problem_with(self.ask("project_modules", code.question)):
            raise self._error("stray", problem)

    def pin(self, cpus: Sequence[int] | None) -> None:
        """Hold the process, and its ranks, to ``cpus``."""
        pin(self._process.pid, cpus)

    def _send(self, message: object) -> None:
        try:
            self._process.send(message)
        except GoneError:
            raise self._error("error", self._process.how_it_died()) from None

    def _next_message(self) -> tuple[str, Any]:
        while not self._deadline.is_over:
            self._deadline.tick()
            try:
                message: tuple[str, Any] = self._process.receive(TICK_S)
            except TimeoutError:
                continue
            except GoneError:
                died = self._process.how_it_died()
                raise self._error("error", died, self._process.output) from None
            return message
        raise self._error(
            "timeout",
            f"the launch gave no answer within {self._deadline.timeout_s:g} s (--gate-timeout)",
            self._process.output,
        )

    def _error(
        self, status: str, summary: str, details: str = "", ended: Mapping[str, Any] | None = None
    ) -> LaunchError:
        return LaunchError(status, summary, details, self.side.name, ended)


@contextmanager
def workers(
    requests: Sequence[tuple[Side, Request]],
    cpus: Sequence[int],
    cpu_count: int | None,
    deadline: Deadline,
) -> Iterator[list[Worker]]:
    """Start a worker for each request, then hold all to ``cpus``.

    They start at the same time. Steps are prepared at the same time, tests one after the other:
    what a fixture needs for itself while it sets up is then one launch's at a time. All end with
    the context, by force where asking does not help.
    """
    packed = [_packed(side, request) for side, request in requests]
    with _processes(requests, cpu_count) as processes:
        started = [
            Worker(process, side, request, order, deadline)
            for process, (side, request), order in zip(processes, requests, packed, strict=True)
        ]
        for worker in started:
            worker.greet()
        _prepare(started, one_by_one=any(request.is_test for _, request in requests))
        for worker in started:
            worker.check_origin()
            worker.pin(None if cpu_count is None else cpus)
        yield started
        for worker in started:
            worker.finish()


def _packed(side: Side, request: Request) -> bytes:
    try:
        return request.packed(side.moved)
    except UnsendableError as error:
        raise LaunchError("error", str(error)) from None


def _prepare(started: Sequence[Worker], *, one_by_one: bool) -> None:
    if one_by_one:
        for worker in started:
            worker.ask("prepare")
        return
    for worker in started:
        worker.send("prepare")
    for worker in started:
        worker.receive()


@contextmanager
def _processes(
    requests: Sequence[tuple[Side, Request]], cpu_count: int | None
) -> Iterator[list[FreshProcess]]:
    """Yield a fresh process for each request. On exit end them, and delete their files."""
    with launch_folder() as folder, ExitStack() as stack:
        processes: list[FreshProcess] = []
        stack.callback(_end, processes)
        for number, (side, request) in enumerate(requests):
            command = _command(side, request, cpu_count, folder / str(number))
            processes.append(FreshProcess(command=command))
        yield processes


def _end(processes: Sequence[FreshProcess]) -> None:
    for process in processes:
        process.hang_up()
    deadline_s = REAL.monotonic_s() + STOP_S
    for process in processes:
        process.end(deadline_s)


def _command(side: Side, request: Request, cpu_count: int | None, temporary: Path) -> Command:
    added = {**quiet_environment(cpu_count), "TMPDIR": str(temporary)}
    environment = variables(request.environment, added)
    if side.has_own_packages:
        environment.pop("PYTHONPATH", None)
    return Command(
        python=side.python,
        folder=side.moved(request.folder),
        environment=environment,
        temporary=temporary,
    )
