"""The clock that suits a rank's device; in a world, the ranks start together."""

from hpml_models.types import Rank
from hpml_steps.clocks import Clock, CudaClock


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
    clock = None if rank.device == "cpu" else _cuda_clock(rank.device)
    return WorldClock(clock) if in_world else clock


def _cuda_clock(device: str) -> CudaClock:
    import torch

    return CudaClock(
        lambda: torch.cuda.Event(enable_timing=True),
        synchronize=lambda: torch.cuda.synchronize(device),
        stream=lambda: torch.cuda.current_stream(device),
    )
