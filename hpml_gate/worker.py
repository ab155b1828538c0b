"""The far end of a launch: a fresh process that prepares one step and measures it.

Messages on the channel: first ``sys.path``, then a pickled :class:`Order`; back comes one pair,
``("launch", pickled Launch)`` or ``("raised", {...})``. They are pickled apart from the channel's
own format, so that the order can name functions that only the new ``sys.path`` can find.
"""

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hpml_gate.measure import Plan, measure_launch
from hpml_gate.protocol import Step

BOOTSTRAP = """
import sys
sys.path[:] = channel.receive()
from hpml_gate.worker import serve
serve(channel)
"""


class Channel(Protocol):
    """What is used of an execnet channel."""

    def send(self, item: object) -> None:
        """Send plain data."""

    def receive(self) -> Any:
        """Wait for plain data."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a launch is asked to do: ``prepare(*args)`` gives the step."""

    prepare: Callable[..., Step]
    args: tuple[Any, ...]
    plan: Plan


def serve(channel: Channel) -> None:
    """Carry out the one order that comes, and answer with what it gave or raised."""
    packed = channel.receive()
    try:
        order: Order = pickle.loads(packed)  # noqa: S301  the other end is our own parent process
        channel.send(("launch", pickle.dumps(_carry_out(order))))
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the test that asked
        channel.send(("raised", _described(error)))


def _carry_out(order: Order) -> object:
    step = order.prepare(*order.args)
    try:
        return measure_launch(step, order.plan)
    finally:
        step.close()


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
    if error.__cause__ is not None:
        return _status(error.__cause__)
    if isinstance(error, AssertionError):
        return "incorrect"
    # torch is not imported here, so its out-of-memory error is known by its name.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    return "timeout" if isinstance(error, TimeoutError) else "error"
