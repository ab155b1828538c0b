"""Clocks that bring a device to rest around a block of steps.

Where one process computes on the CPU no clock is needed: operators are over when they return.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Clock(Protocol):
    """Waits for work to end, and times it by the device's own means where it has them."""

    def start(self) -> None:
        """Come to rest, then start."""

    def stop(self) -> int | None:
        """Come to rest; return the device's nanoseconds, None if it has no clock."""


class Event(Protocol):
    """A mark in a device's queue of work: torch's and numba's CUDA events have these methods."""

    def record(self, stream: Any) -> Any:
        """Put the mark behind the work that is queued on a stream."""

    def synchronize(self) -> Any:
        """Wait until the device has passed the mark."""

    def elapsed_time(self, later: Any) -> float:
        """Return the milliseconds from this mark to a later one."""


class CudaClock:
    """Two CUDA events on one stream, and one synchronisation at the end of a block."""

    def __init__(
        self,
        make_event: Callable[[], Event],
        *,
        synchronize: Callable[[], object],
        stream: Callable[[], Any],
    ) -> None:
        """Make the two events; ``stream`` returns the stream that the steps are launched on."""
        self._first, self._last = make_event(), make_event()
        self._synchronize, self._stream = synchronize, stream

    def start(self) -> None:
        """Drain the device, then record the first event."""
        self._synchronize()
        self._first.record(self._stream())

    def stop(self) -> int | None:
        """Record the last event, wait for it, return the nanoseconds between the two."""
        self._last.record(self._stream())
        self._last.synchronize()
        return round(self._first.elapsed_time(self._last) * 1e6)
