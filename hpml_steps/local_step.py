"""A prepared step in this process.

The caller gives the timer, so that steps know nothing of who times them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpml_steps.clocks import Clock
from hpml_steps.metric import Metric
from hpml_steps.out_of_memory import out_of_memory_named

Timer = Callable[[Callable[[], object], Clock | None, int], Any]
"""``timer(run, clock, iterations)`` times one block; the clock is None on the CPU."""


@dataclass(frozen=True, kw_only=True)
class LocalStep:
    """One function that does the work, with what proves that it does.

    ``read_metrics`` is called after the timing. ``observe`` may take some more steps, disturb
    what comes after, and returns more of what took effect.
    """

    run: Callable[[], object]
    items_per_step: int
    clock: Clock | None = None
    effective: Mapping[str, Any] = field(default_factory=dict)
    read_metrics: Callable[[], Mapping[str, Metric]] = dict
    observe: Callable[[], Mapping[str, Any]] = dict

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What has been reached by now beside the time."""
        return self.read_metrics()

    def measure(self, timer: Timer, iterations: int) -> Sequence[Any]:
        """Time one block here: a list of one. Raises OutOfMemoryError if memory runs out."""
        with out_of_memory_named():
            return [timer(self.run, self.clock, iterations)]

    def close(self) -> None:
        """Hold nothing that the process would not give back."""
