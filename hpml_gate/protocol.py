"""What the gate asks of a thing to be timed.

Everything here is structural: a package whose steps have these members needs no import of the
gate. Times are integers in nanoseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


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
    means that the host is what limits the step.
    """

    ns: int
    wall_ns: int


Timer = Callable[[Callable[[], object], Clock | None, int], BlockTime]
"""``timer(run, clock, iterations)`` times one block; see :func:`hpml_gate.measure.time_block`.

The clock is None where work is over when its call returns: host time is all there is.
"""


class Step(Protocol):
    """A prepared step: everything built, compiled and checked, ready to be repeated."""

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
    clock: Clock | None = None

    def measure(self, timer: Timer, iterations: int) -> Sequence[BlockTime]:
        """Time one block in this process."""
        return [timer(self.run, self.clock, iterations)]

    def close(self) -> None:
        """Hold nothing, so give nothing back."""
