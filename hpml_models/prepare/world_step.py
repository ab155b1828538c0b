"""A prepared step whose ranks are processes of a world.

A timer is given by the caller; ``timer(run, clock, iterations)`` times one block, and is sent to
the ranks by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpml_models.instruments.memory import metrics_of, peak_memory_bytes
from hpml_models.types import Rank
from hpml_models.worlds.world import World
from hpml_steps.local_step import LocalStep, Timer
from hpml_steps.metric import Metric


class WorldStep:
    """A step that every rank of a world does together; ``prepare`` makes each rank's part."""

    def __init__(self, world: World, prepare: Callable[..., LocalStep], *args: Any) -> None:
        """Prepare the step on all ranks; the world is this step's from now on."""
        self._world = world
        try:
            facts = world.run(_prepare_on_rank, prepare, args)
        except BaseException:
            world.close()
            raise
        self.items_per_step: int = sum(items for items, _ in facts)
        self.by_rank: Sequence[Mapping[str, Any]] = [effective for _, effective in facts]
        self.effective: Mapping[str, Any] = over_ranks(self.by_rank)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What all ranks together have reached by now beside the time."""
        return metrics_of(sum(self._world.run(_peak_on_rank)))

    def observe(self) -> Mapping[str, Any]:
        """Take some more steps and return how busy they keep the devices."""
        return over_ranks(self._world.run(_observe_on_rank))

    def measure(self, timer: Timer, iterations: int) -> Sequence[Any]:
        """Time one block on every rank: one time each."""
        return self._world.run(_measure_on_rank, timer, iterations)

    def close(self) -> None:
        """End the ranks."""
        self._world.close()


def over_ranks(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put ranks' facts together: what all agree on as it is, all else as a list by rank."""
    names = dict.fromkeys(name for one in facts for name in one)
    by_rank = {name: [one.get(name) for one in facts] for name in names}
    return {
        name: values[0] if all(value == values[0] for value in values) else values
        for name, values in by_rank.items()
    }


def _prepare_on_rank(
    rank: Rank, prepare: Callable[..., LocalStep], args: tuple[Any, ...]
) -> tuple[int, Mapping[str, Any]]:
    step = rank.kept["step"] = prepare(rank, *args)
    return step.items_per_step, step.effective


def _measure_on_rank(rank: Rank, timer: Timer, iterations: int) -> Any:
    step: LocalStep = rank.kept["step"]
    return step.measure(timer, iterations)[0]


def _peak_on_rank(rank: Rank) -> int:
    return peak_memory_bytes(rank.device)


def _observe_on_rank(rank: Rank) -> Mapping[str, Any]:
    step: LocalStep = rank.kept["step"]
    return step.observe()
