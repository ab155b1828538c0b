"""One device: what every other strategy must agree with."""

from typing import Any

from hpml_models.training import EagerTrainer
from hpml_models.types import Case, ModelSpec, Rank, Task, Trainer


class Single:
    """Plain training on one device."""

    name = "single"
    device_counts = range(1, 2)
    needs_world = False

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:  # noqa: ARG002  fits every model
        """Every model trains on one device."""
        return None

    def prepare(self, task: Task) -> Trainer:
        """Train the module as it is."""
        return EagerTrainer(task, task.module)

    def proof(self, trainer: Trainer, rank: Rank) -> dict[str, Any]:  # noqa: ARG002  nothing to read
        """One process holds everything."""
        return {"world_size": rank.world_size}


STRATEGY = Single()
