"""One device: what every other strategy must agree with."""

from collections.abc import Mapping
from typing import Any, cast

from hpml_models.training.evidence import model_bytes
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import Case, ModelSpec, Rank, Strategy, Task, Trainer


class Single(Strategy):
    """Plain training on one device."""

    name = "single"
    device_counts = range(1, 2)
    needs_world = False

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:  # noqa: ARG002  fits every model
        """Refuse only a batch that is too small."""
        return why_not_split(case.batch, 1, case.micro_batches)

    def prepare(self, task: Task) -> Trainer:
        """Train the module as it is."""
        return EagerTrainer(task, task.module)

    def proof(self, trainer: Trainer, rank: Rank, traffic: Mapping[str, int]) -> dict[str, Any]:  # noqa: ARG002
        """One process holds everything and talks to nobody."""
        alone = cast("EagerTrainer", trainer)
        bytes_here = model_bytes(alone.task.module.parameters(), alone.state)
        return {"world_size": rank.world_size, **bytes_here}


STRATEGY = Single()
