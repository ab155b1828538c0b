"""Clocks that bring a device, and the other ranks, to rest around a block of steps.

Where one process computes on the CPU there is none to need: operators are over when they return.
"""

from typing import Protocol

from hpml_models.types import Rank


class Clock(Protocol):
    """Waits for work to end, and times it by the device's own means where it has them."""

    def start(self) -> None:
        """Come to rest, then start."""

    def stop(self) -> int | None:
        """Come to rest; return the device's nanoseconds, None if it has no clock."""


class CudaClock:
    """CUDA events on the current stream, one synchronisation at the end of a block."""

    def __init__(self, device: str) -> None:
        """Make the two events."""
        import torch

        self._device = torch.device(device)
        self._first = torch.cuda.Event(enable_timing=True)
        self._last = torch.cuda.Event(enable_timing=True)

    def start(self) -> None:
        """Drain the device, then record the first event."""
        import torch

        torch.cuda.synchronize(self._device)
        self._first.record(torch.cuda.current_stream(self._device))

    def stop(self) -> int | None:
        """Record the last event, wait for it, return what lies between the two."""
        import torch

        self._last.record(torch.cuda.current_stream(self._device))
        self._last.synchronize()
        milliseconds: float = self._first.elapsed_time(self._last)
        return round(milliseconds * 1e6)


class WorldClock:
    """The ranks of a world start together; the device's clock, if it has one, runs within."""

    def __init__(self, clock: Clock | None) -> None:
        """Start ``clock`` behind a barrier."""
        self._clock = clock

    def start(self) -> None:
        """Wait for every rank, then start."""
        import torch.distributed as dist

        dist.barrier()
        if self._clock is not None:
            self._clock.start()

    def stop(self) -> int | None:
        """Stop this rank's clock; the slowest rank's time is the world's."""
        return None if self._clock is None else self._clock.stop()


def clock_for(rank: Rank, *, in_world: bool) -> Clock | None:
    """Return the clock that suits a rank's device, None where the host's time is all there is."""
    clock = None if rank.device == "cpu" else CudaClock(rank.device)
    return WorldClock(clock) if in_world else clock
