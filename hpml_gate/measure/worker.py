"""The far end of a launch: a fresh process that prepares one step and times blocks of it.

Messages: requests ``(method, *arguments)`` of :class:`Workbench`; to each comes one answer,
``("answer", value)`` or ``("raised", {...})``. A test whose launch is over sends ``("ended",
{...})``. What to prepare is pickled apart from the first message, so that it can name functions
that only this side's ``sys.path`` can find.
"""

import os
import pickle
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hpml_gate.measure.block import Calibration, Plan, time_block, warm_up
from hpml_gate.measure.environment import QUIET_NAMES, available_cpus
from hpml_gate.measure.origins import Question, project_modules
from hpml_gate.protocol import BlockTime, Metric, Step, Timer

__tracebackhide__ = True  # a failing call's traceback shows the test's own code


class Connection(Protocol):
    """What is used of a connection to the controller."""

    def send(self, obj: Any) -> None:
        """Send an object."""

    def recv(self) -> Any:
        """Wait for an object; raises EOFError when the other end has hung up."""


class UnsendableError(Exception):
    """What is to be prepared cannot be sent to a fresh process."""


@dataclass(frozen=True, kw_only=True)
class StepRequest:
    """What a launch is asked to prepare: ``prepare(*args)`` gives the step.

    It works where the test that asks works now, and finds the same variables.
    """

    prepare: Callable[..., Step]
    args: tuple[Any, ...]
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    answers: str = __name__
    is_test: bool = False

    def packed(self, _moved: Callable[[Path], Path]) -> bytes:
        """Return what to prepare; raises :class:`UnsendableError`."""
        try:
            return pickle.dumps((self.prepare, self.args))
        except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
            raise UnsendableError(
                f"{self.prepare!r} or its arguments cannot be sent to a fresh process ({error}): "
                "give bench a function of a module and plain data",
            ) from None

    def keep(self, side: str, ended: Mapping[str, Any]) -> None:
        """Keep nothing: a step leaves no reports."""


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """Who answers."""

    python: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a step says of itself, and the process of itself.

    ``parameters`` are those of its test, on this side; ``unjudged`` says why its times say
    nothing, if they do not.
    """

    items_per_step: int
    effective: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    cpus: Sequence[int]
    niceness: int
    environment: Mapping[str, str]
    parameters: str = ""
    unjudged: str = ""


class LackingError(Exception):
    """The code on this side does not have, or cannot import, what the order asks for."""


class Workbench:
    """The requests that a worker answers."""

    step: Step
    parameters = ""

    def __init__(self, packed: bytes) -> None:
        """Have no step yet: ``packed`` describes it."""
        self._packed = packed
        self._unjudged = ""

    def greet(self) -> Greeting:
        """Say who this is."""
        version = f"{platform.python_implementation()} {platform.python_version()}"
        return Greeting(python=version)

    def prepare(self) -> None:
        """Build the step that a packed :class:`StepRequest` describes."""
        try:
            prepare, args = pickle.loads(self._packed)  # noqa: S301  the other end is our own parent process
        except Exception as error:
            raise LackingError(f"{type(error).__name__}: {error}") from error
        self.step = prepare(*args)

    def warm_up(self, plan: Plan) -> Calibration:
        """Run until compilation and caches are behind, and say how long a step takes then."""
        warm = warm_up(self.step, plan)
        self._unjudged = warm.unjudged
        return warm

    def time(self, iterations: int, timer: Timer = time_block) -> Sequence[BlockTime]:
        """Time one block: a time per rank."""
        return self.step.measure(timer, iterations)

    def facts(self) -> Facts:
        """Read the step's facts back, after all timing."""
        return Facts(
            items_per_step=self.step.items_per_step,
            effective=self.step.effective,
            metrics={  # the gate's own class: a step's may be known to this side alone
                name: Metric(value=one.value, better=one.better, margin=one.margin)
                for name, one in getattr(self.step, "metrics", {}).items()
            },
            cpus=available_cpus(),
            niceness=os.getpriority(os.PRIO_PROCESS, 0),
            environment={name: os.environ[name] for name in QUIET_NAMES if name in os.environ},
            parameters=self.parameters,
            unjudged=self._unjudged,
        )

    def observe(self) -> Mapping[str, Any]:
        """Let the step find out more of what took effect; nothing is timed after that."""
        observed: Mapping[str, Any] = getattr(self.step, "observe", dict)()
        return observed

    def project_modules(self, question: Question) -> dict[str, str]:
        """Return where the project's modules came from."""
        return project_modules(question)

    def close(self) -> None:
        """Give back what the step holds."""
        if hasattr(self, "step"):
            self.step.close()


class Conversation:
    """The far end's side of the talk: it answers requests until one that somebody waits for."""

    def __init__(self, connection: Connection, bench: Workbench) -> None:
        """Answer by ``bench`` what comes over ``connection``."""
        self._connection = connection
        self._bench = bench

    def answer_until(self, method: str | None = None) -> None:
        """Answer all requests before that of ``method``, which is left for :meth:`answer`.

        What a request raises is described to the other end, then raised. Raises EOFError when the
        other end has hung up.
        """
        while (request := self._receive())[0] != method:
            self.answer(request)

    def _receive(self) -> tuple[Any, ...]:
        try:
            request: tuple[Any, ...] = self._connection.recv()
        except OSError as error:  # a step that closes what it did not open
            raise EOFError from error
        return request

    def answer(self, request: tuple[Any, ...]) -> None:
        """Answer one request."""
        method, *arguments = request
        try:
            answer = getattr(self._bench, method)(*arguments)
        except BaseException as error:
            self._send(("raised", described(error)))
            raise
        self._send(("answer", answer))

    def _send(self, message: tuple[str, Any]) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise EOFError from error


def serve(connection: Connection, packed: bytes) -> None:
    """Answer requests for a step until there is none: the controller has hung up."""
    bench = Workbench(packed)
    talk = Conversation(connection, bench)
    while True:
        try:
            talk.answer_until()
        except EOFError:
            bench.close()
            os._exit(0)  # what an interpreter tidies up at its end takes torch two seconds
        except BaseException:  # noqa: BLE001, S112  it was described, and belongs to the test that asked
            continue


def described(error: BaseException) -> dict[str, str]:
    """Describe an exception to the other end."""
    return {
        "status": _status(error),
        "summary": f"{type(error).__name__}: {error}".splitlines()[0],
        "traceback": "".join(traceback.format_exception(error)),
    }


def _status(error: BaseException) -> str:
    """Name what a step's exception means: a wrong result is not the same as a broken one.

    An error that was raised from another (a rank's, say) means what that one means.
    """
    if isinstance(error, LackingError):
        return "lacking"
    if type(error).__name__ == "Skipped":  # pytest's, which a step need not have imported
        return "skipped"
    # torch is not imported here, so its out-of-memory error is known by its name.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    if error.__cause__ is not None:
        return _status(error.__cause__)
    if isinstance(error, AssertionError):
        return "incorrect"
    return "timeout" if isinstance(error, TimeoutError) else "error"
