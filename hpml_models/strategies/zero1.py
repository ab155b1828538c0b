"""DDP whose optimizer state is cut over the ranks: ZeRO's first stage, as torch has it.

S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
arXiv 1910.02054. Each rank updates its own part of the parameters, then broadcasts them.
"""

from typing import TYPE_CHECKING, Any, cast

from hpml_models.instruments.traffic import Traffic
from hpml_models.strategies.ddp import Ddp, DdpTrainer
from hpml_models.training.evidence import total_over_ranks
from hpml_models.types import ModelBytes, ParallelCase, Task
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    import torch


class Zero1Trainer(DdpTrainer):
    """A replica that keeps the optimizer state of a part of its parameters."""

    def make_optimizer(self) -> Any:
        """Shard the task's own optimizer."""
        from torch.distributed.optim import ZeroRedundancyOptimizer

        recipe = self.task.spec.recipe
        groups = recipe.groups(self.task.module.named_parameters())
        return ZeroRedundancyOptimizer(groups, optimizer_class=recipe.optimizer)  # type: ignore[arg-type]  # any maker of an optimizer will do

    @property
    def own_optimizer(self) -> "torch.optim.Optimizer":
        """What updates the parameters that are this rank's to update."""
        return cast("torch.optim.Optimizer", self.optimizer.optim)

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Check, beside what DDP checks, that ranks keep the state of each parameter once."""
        facts = super().proof(traffic)
        kept = total_over_ranks(len(self.state))
        trained = sum(parameter.requires_grad for parameter in self.task.module.parameters())
        if kept != trained:
            raise Incorrect(
                f"zero1 did not take effect: ranks keep {kept} states of {trained} parameters"
            )
        whole = total_over_ranks(facts["optimizer_bytes"])
        return {**facts, "optimizer_bytes_of_all_ranks": whole}


class Zero1(Ddp):
    """``torch.distributed.optim.ZeroRedundancyOptimizer`` over ``DistributedDataParallel``."""

    name = "zero1"
    device_counts = range(2, 1025)

    def prepare(self, task: Task) -> Zero1Trainer:
        """Replicate the module, shard the optimizer."""
        return Zero1Trainer(task)

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count all parameters, and the optimizer's state of one part of them."""
        return single.parameter_bytes + single.optimizer_bytes / case.device_count

    def traffic_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Count each gradient once, then each parameter: one rank broadcasts it, all call."""
        return 2 * single.parameter_bytes


STRATEGY = Zero1()
