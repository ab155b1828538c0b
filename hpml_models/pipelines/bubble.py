"""The bubble of a pipeline: what part of a step a rank waits, measured and in theory."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

STEPS = 3  # how many of the last steps are kept

Span = tuple[Any, Any]  # start and end, as the device's clock has them


@dataclass(kw_only=True)
class _Step:
    """The spans of one step: all of it, chunks of work, and what is no part of the pipeline."""

    whole: Span
    chunks: list[Span] = field(default_factory=list)
    left_out: list[Span] = field(default_factory=list)


class BusyTime:
    """How much of each step a rank computes: chunks are timed, all else is waiting.

    On CUDA a chunk lies between two events on the current stream, which are read later; on a CPU
    operators are over when they return.
    """

    def __init__(self, device: str) -> None:
        """Watch the work of one device."""
        self._device = device
        self._steps: deque[_Step] = deque(maxlen=STEPS)

    def timing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function as a chunk of work."""
        return self._timed(call, lambda: self._steps[-1].chunks)

    def leaving_out(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function as something that is no part of the pipeline."""
        return self._timed(call, lambda: self._steps[-1].left_out)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Take what happens within as one step."""
        start = self._now()
        self._steps.append(_Step(whole=(start, start)))
        yield
        self._steps[-1].whole = (start, self._now())

    def bubble(self) -> float:
        """Return the part of a step in which this rank waited, from 0 to 1: of the last ones."""
        return median(self._bubble(step) for step in self._steps)

    def _bubble(self, step: _Step) -> float:
        whole = self._total([step.whole]) - self._total(step.left_out)
        return 1 - self._total(step.chunks) / whole

    def _timed(
        self, call: Callable[..., Any], spans: Callable[[], list[Span]]
    ) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self._now()
            result = call(*args, **kwargs)
            spans().append((start, self._now()))
            return result

        return timed

    def _total(self, spans: list[Span]) -> float:
        return sum(self._between(*span) for span in spans)

    def _now(self) -> Any:
        if self._device == "cpu":
            return time.perf_counter_ns()
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _between(self, start: Any, end: Any) -> float:
        if self._device == "cpu":
            return float(end - start)
        end.synchronize()
        return float(start.elapsed_time(end))


def bubble_of_1f1b(stages: int, micro_batches: int, stages_per_rank: int = 1) -> float:
    """Return the bubble of GPipe and 1F1B, interleaved or not, for equal stages.

    D. Narayanan et al., arXiv 2104.04473, section 2.2, as a part of the whole step.
    """
    return (stages - 1) / (stages_per_rank * micro_batches + stages - 1)


def bubble_of_order(order: Mapping[int, Sequence[object]]) -> float:
    """Return the bubble of a schedule's own table, by rank, if each of its actions takes as long.

    A place without an action is None. Zero-bubble schedules split the backward pass: their
    actions are a forward, an input's gradient, a weight's gradient.
    """
    length = max(len(actions) for actions in order.values())
    work = sum(action is not None for actions in order.values() for action in actions)
    return 1 - work / (length * len(order))
