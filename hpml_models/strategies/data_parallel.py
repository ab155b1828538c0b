"""``nn.DataParallel``: one process copies the model to every device at each step.

Kept because the experiments that this suite replaces used it; torch itself advises DDP.
"""

from typing import TYPE_CHECKING, Any, cast

from hpml_models.instruments.traffic import Traffic
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


class DataParallelTrainer(EagerTrainer):
    """A model that is replicated for the length of a forward pass."""

    def __init__(self, task: Task) -> None:
        """Wrap the module for all devices of the machine that the case may use."""
        from torch.nn import DataParallel

        self.seen: set[str] = set()
        task.module.register_forward_pre_hook(self._note, with_kwargs=True)
        devices = list(range(task.device_count))
        super().__init__(task, cast("nn.Module", DataParallel(task.module, device_ids=devices)))

    def _note(self, _: "nn.Module", __: object, inputs: "Mapping[str, Tensor]") -> None:
        self.seen.update(str(tensor.device) for tensor in inputs.values())

    def proof(self, traffic: Traffic) -> dict[str, Any]:  # noqa: ARG002  one process
        """Check that replicas ran on each device."""
        if len(self.seen) != self.task.device_count:
            raise Incorrect(f"data_parallel did not take effect: it ran on {sorted(self.seen)}")
        return {"world_size": self.task.rank.world_size, "devices": sorted(self.seen)}


class DataParallel(Strategy):
    """``torch.nn.DataParallel`` in one process."""

    name = "data_parallel"
    needs_world = False

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:  # noqa: ARG002  fits every model
        """Refuse the CPU, where it would run the plain module, and a batch that is too small."""
        if case.device == "cpu":
            return "nn.DataParallel runs the plain module on a CPU: it would be single"
        if case.nodes:
            return "nn.DataParallel is one process: ranks that a launcher has placed are several"
        return why_not_split(case.batch, case.device_count, case.micro_batches)

    def prepare(self, task: Task) -> DataParallelTrainer:
        """Wrap the module."""
        return DataParallelTrainer(task)


STRATEGY = DataParallel()
