"""What the gate asks of a thing to be timed.

Everything here is structural: a package whose steps have these members needs no import of the
gate. Times are integers in nanoseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__tracebackhide__ = True  # a failing call's traceback shows the test's own code


class Clock(Protocol):
    """Brings the device to rest around a block of steps."""

    def start(self) -> None:
        """Wait for earlier work (and for other ranks), then start the device's own clock."""

    def stop(self) -> int | None:
        """Wait for the block's work; return the device's nanoseconds, None if it has no clock."""


@dataclass(frozen=True, kw_only=True)
class BlockTime:
    """One block of equal iterations: ``ns`` is what is judged, ``wall_ns`` stands beside it.

    On a device with a clock of its own ``ns`` is the device's time; a wall time far above it
    means that the host is what limits the step. The others are diagnostics of this process:
    CPU time, page faults, and how often another process took the CPU away. ``unjudged`` says why
    the time says nothing, if it does not.
    """

    ns: int
    wall_ns: int
    cpu_ns: int = 0
    page_faults: int = 0
    preemptions: int = 0
    unjudged: str = ""


TIME = "time"  # the name of the first metric


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A second figure of a step (bytes at the peak, seconds to compile), with its unit in its name.

    It is judged as the time is, across launches, in its own direction and to its own margin.
    """

    value: float
    better: Literal["lower", "higher"] = "lower"
    margin: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what has no logarithm: metrics are compared as ratios."""
        if not self.value > 0:
            raise ValueError(f"a metric must be positive to be compared as a ratio: {self.value}")


Timer = Callable[[Callable[[], object], Clock | None, int], BlockTime]
"""``timer(run, clock, iterations)`` times one block: :func:`hpml_gate.measure.block.time_block`.

The clock is None where work is over when its call returns: host time is all there is.
"""


class Step(Protocol):
    """A prepared step: everything built, compiled and checked, ready to be repeated.

    It may also have ``metrics``, a mapping of names to :class:`Metric`, read after the timing, and
    ``observe()``, which finds out more of what is ``effective``. That is called once, when the
    first of several launches has been timed: it may take a few steps, and disturb what comes after.
    """

    @property
    def items_per_step(self) -> int:
        """Samples, elements or draws that one step works through; throughput's numerator."""

    @property
    def effective(self) -> Mapping[str, Any]:
        """What took effect, read back from the objects; values that JSON can hold."""

    def measure(self, timer: Timer, iterations: int) -> Sequence[BlockTime]:
        """Run one block under ``timer``, wherever the step lives: a list of one time per rank."""

    def close(self) -> None:
        """Give back what the step holds: ranks, files, device memory."""


@dataclass(frozen=True, kw_only=True)
class FunctionStep:
    """A step that is one plain function, called without arguments."""

    run: Callable[[], object]
    items_per_step: int = 1
    effective: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    clock: Clock | None = None

    def measure(self, timer: Timer, iterations: int) -> Sequence[BlockTime]:
        """Time one block in this process."""
        return [timer(self.run, self.clock, iterations)]

    def close(self) -> None:
        """Hold nothing, so give nothing back."""
