"""Launches: measuring a step in processes of their own, one after another.

A process is the replicate: memory layout, thread placement and allocator state are drawn anew
with each, and they move a step's time by more than its iterations scatter.
"""

import os
import pickle
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import execnet

from hpml_gate.measure import Plan
from hpml_gate.protocol import Step
from hpml_gate.samples import Launch, Samples
from hpml_gate.worker import BOOTSTRAP, Order

# With glibc's defaults a training step maps and unmaps its buffers all the time, and the number
# of page faults differs from process to process; with these thresholds they are kept.
QUIET_ENVIRONMENT: Mapping[str, str] = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "PYTHONHASHSEED": "0",
}

TICK_S = 1.0  # how often whoever waits is told that the launch still runs
STOP_S = 2.0  # how long a process may take to leave before it is killed


class LaunchError(Exception):
    """A launch gave no samples; ``status`` says which kind of failure it was."""

    def __init__(self, status: str, summary: str, details: str = "") -> None:
        """Keep the kind, the one-line reason and what is known beyond it."""
        super().__init__(summary)
        self.status = status
        self.details = details


def measure(  # noqa: PLR0913  one keyword for each thing that a user may set
    prepare: Callable[..., Step],
    args: tuple[Any, ...],
    *,
    case_id: str,
    launches: int,
    timeout_s: float,
    progress: Callable[[int], None],
) -> Samples:
    """Measure ``prepare(*args)`` in ``launches`` fresh processes with equal iterations.

    ``prepare`` must be importable and ``args`` picklable. ``progress`` is told the number of the
    launch, from 1, about every second. Raises :class:`LaunchError` when a launch raises, dies or
    exceeds ``timeout_s`` seconds.
    """
    plan = Plan()
    done: list[Launch] = []
    for number in range(1, launches + 1):
        order = Order(prepare=prepare, args=args, plan=plan)
        done.append(_launch(order, timeout_s, lambda: progress(number)))  # noqa: B023
        plan = replace(plan, iterations=done[0].iterations)
    return Samples.of(case_id, done)


def _launch(order: Order, timeout_s: float, tick: Callable[[], None]) -> Launch:
    packed = _packed(order)
    group = execnet.Group()
    try:
        gateway = group.makegateway(f"popen//python={_interpreter()}")
        kind, answer = _ask(gateway, packed, timeout_s, tick)
    finally:
        group.terminate(timeout=STOP_S)
    if kind == "raised":
        raise LaunchError(answer["status"], answer["summary"], answer["traceback"])
    launch: Launch = pickle.loads(answer)  # noqa: S301  our own child process wrote it
    return launch


def _ask(
    gateway: execnet.Gateway, packed: bytes, timeout_s: float, tick: Callable[[], None]
) -> tuple[str, Any]:
    """Send the order and wait for the answer, ticking meanwhile."""
    deadline = time.monotonic() + timeout_s
    try:
        channel = gateway.remote_exec(BOOTSTRAP)
        channel.send(sys.path)
        channel.send(packed)
        while time.monotonic() < deadline:
            tick()
            with suppress(execnet.TimeoutError):
                answer: tuple[str, Any] = channel.receive(TICK_S)
                return answer
    except execnet.RemoteError as error:  # what even the worker could not catch: sys.exit()
        raise LaunchError("error", "the step ended its process", str(error)) from None
    except (EOFError, OSError):
        raise LaunchError("error", _how_it_died(gateway)) from None
    raise LaunchError(
        "timeout", f"the launch gave no answer within {timeout_s:g} s (--gate-timeout)"
    )


def _packed(order: Order) -> bytes:
    try:
        return pickle.dumps(order)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise LaunchError(
            "error",
            f"{order.prepare!r} or its arguments cannot be sent to a fresh process ({error}): "
            "give bench a function of a module and plain data",
        ) from None


def _interpreter() -> str:
    """Return a command for this interpreter under the quiet environment (set before it starts)."""
    assignments = [f"{name}={value}" for name, value in QUIET_ENVIRONMENT.items()]
    return shlex.join(["env", *assignments, sys.executable])


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
