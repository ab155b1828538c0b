"""The far end of a launch: a fresh process that prepares one step and times blocks of it.

Messages on the channel: first what ``sys.path`` is to be, then pickled requests
``(method, *arguments)`` of :class:`Workbench`; to each comes one answer, ``("answer", pickled)`` or
``("raised", {...})``. They are pickled apart from the channel's own format, so that an order can
name functions that only that ``sys.path`` can find.
"""

import os
import pickle
import platform
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hpml_gate.measure.block import Calibration, Plan, time_block, warm_up
from hpml_gate.measure.environment import QUIET_NAMES
from hpml_gate.protocol import BlockTime, Metric, Step, Timer

BOOTSTRAP = """
import sys
path, keeps_own = channel.receive()
sys.path[:] = path + (sys.path if keeps_own else [])
from hpml_gate.measure.worker import serve
serve(channel)
"""


class Channel(Protocol):
    """What is used of an execnet channel."""

    def send(self, item: object) -> None:
        """Send plain data."""

    def receive(self) -> Any:
        """Wait for plain data."""


@dataclass(frozen=True, kw_only=True)
class StepRequest:
    """What a launch is asked to prepare: ``prepare(*args)`` gives the step."""

    prepare: Callable[..., Step]
    args: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """Who answers."""

    pid: int
    python: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a step says of itself, and the process of itself."""

    items_per_step: int
    effective: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    cpus: Sequence[int]
    niceness: int
    environment: Mapping[str, str]


class LackingError(Exception):
    """The code on this side does not have, or cannot import, what the order asks for."""


class Workbench:
    """The requests that a worker answers."""

    _step: Step

    def greet(self) -> Greeting:
        """Say who this is."""
        version = f"{platform.python_implementation()} {platform.python_version()}"
        return Greeting(pid=os.getpid(), python=version)

    def prepare(self, order: bytes) -> None:
        """Build the step that the pickled :class:`StepRequest` describes."""
        try:
            made: StepRequest = pickle.loads(order)  # noqa: S301  the other end is our own parent process
        except Exception as error:
            raise LackingError(f"{type(error).__name__}: {error}") from error
        self._step = made.prepare(*made.args)

    def warm_up(self, plan: Plan) -> Calibration:
        """Run until compilation and caches are behind, and say how long a step takes then."""
        return warm_up(self._step, plan)

    def time(self, iterations: int, timer: Timer = time_block) -> Sequence[BlockTime]:
        """Time one block: a time per rank."""
        return self._step.measure(timer, iterations)

    def facts(self) -> Facts:
        """Read the step's facts back, after all timing."""
        return Facts(
            items_per_step=self._step.items_per_step,
            effective=self._step.effective,
            metrics={  # the gate's own class: a step's may be known to this side alone
                name: Metric(value=one.value, better=one.better, margin=one.margin)
                for name, one in getattr(self._step, "metrics", {}).items()
            },
            cpus=sorted(os.sched_getaffinity(0)),
            niceness=os.getpriority(os.PRIO_PROCESS, 0),
            environment={name: os.environ[name] for name in QUIET_NAMES if name in os.environ},
        )

    def observe(self) -> Mapping[str, Any]:
        """Let the step find out more of what took effect; nothing is timed after that."""
        observed: Mapping[str, Any] = getattr(self._step, "observe", dict)()
        return observed

    def stray_module(self, foreign: str, root: str) -> str | None:
        """Return a module that was imported from below ``foreign`` but not ``root``, if any."""
        files = [getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]]
        gate = str(Path(__file__).resolve().parents[1])  # the same on both sides, by design
        own = (gate, sys.prefix, sys.base_prefix, *([root] if root else []))
        return next(
            (file for file in files if file.startswith(foreign) and not file.startswith(own)), None
        )

    def close(self) -> None:
        """Give back what the step holds."""
        if hasattr(self, "_step"):
            self._step.close()


def serve(channel: Channel) -> None:
    """Answer requests until there is none: the controller has closed the channel."""
    bench = Workbench()
    try:
        while True:
            request = channel.receive()
            channel.send(_answer(bench, request))
    except EOFError:
        bench.close()
        os._exit(0)  # what an interpreter tidies up at its end takes torch two seconds


def _answer(bench: Workbench, request: bytes) -> tuple[str, Any]:
    try:
        method, *arguments = pickle.loads(request)  # noqa: S301  as above
        return "answer", pickle.dumps(getattr(bench, method)(*arguments))
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the test that asked
        return "raised", _described(error)


def _described(error: Exception) -> dict[str, str]:
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
    if error.__cause__ is not None:
        return _status(error.__cause__)
    if isinstance(error, AssertionError):
        return "incorrect"
    # torch is not imported here, so its out-of-memory error is known by its name.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    return "timeout" if isinstance(error, TimeoutError) else "error"
