"""The training step itself, as strategies that keep the whole model on each rank share it."""

from typing import TYPE_CHECKING

from hpml_models.precision import autocast
from hpml_models.types import Batch, Share, Task

if TYPE_CHECKING:
    from torch import Tensor, nn


class EagerTrainer:
    """Forward, backward, optimizer step; ``module`` is the task's, wrapped or not."""

    def __init__(self, task: Task, module: "nn.Module") -> None:
        """Make the optimizer over the module's parameters."""
        self.task = task
        self.module = module
        self.optimizer = task.optimizer(module.parameters())

    def share(self, batch: Batch) -> Share:
        """Take the whole batch: there is one rank."""
        return Share(batch, weight=1.0)

    def step(self, share: Share) -> "Tensor":
        """Do one optimisation step on this rank's share; the backward pass is outside autocast."""
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.task.precision, self.task.rank.device):
            loss = self.task.loss(self.module(share.batch.inputs), share.batch.targets)
        (loss * share.weight).backward()
        self.optimizer.step()
        return loss.detach()

    def parameters(self) -> "dict[str, Tensor]":
        """Return the task's own parameters: each rank holds all of them."""
        return {name: value.detach() for name, value in self.task.module.named_parameters()}
