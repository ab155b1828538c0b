"""One device: what every other strategy must agree with."""

from typing import Any

from hpml_models.instruments.traffic import Traffic
from hpml_models.training.evidence import model_bytes
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy


class SingleTrainer(EagerTrainer):
    """The module as it is."""

    def proof(self, traffic: Traffic) -> dict[str, Any]:  # noqa: ARG002  there is none
        """Count what one process holds."""
        bytes_here = model_bytes(self.task.module.parameters(), self.state)
        return {"world_size": self.task.rank.world_size, **bytes_here}


class Single(Strategy):
    """Plain training on one device."""

    name = "single"
    device_counts = range(1, 2)
    needs_world = False

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:  # noqa: ARG002  fits every model
        """Refuse only a batch that is too small."""
        return why_not_split(case.batch, 1, case.micro_batches)

    def prepare(self, task: Task) -> SingleTrainer:
        """Train the module as it is."""
        return SingleTrainer(task, task.module)


STRATEGY = Single()
