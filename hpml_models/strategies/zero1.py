"""DDP whose optimizer state is cut over the ranks: ZeRO's first stage, as torch has it.

S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
arXiv 1910.02054. Each rank updates its own part of the parameters, then broadcasts them.
"""

from collections.abc import Mapping
from typing import Any, cast

from hpml_models.strategies.ddp import Ddp, DdpTrainer
from hpml_models.training.evidence import total_over_ranks
from hpml_models.types import Case, Incorrect, ModelBytes, Rank, Task, Trainer


class Zero1Trainer(DdpTrainer):
    """A replica that keeps the optimizer state of a part of its parameters."""

    def make_optimizer(self) -> Any:
        """Shard the task's own optimizer."""
        from torch.distributed.optim import ZeroRedundancyOptimizer

        factory = self.task.spec.optimizer
        return ZeroRedundancyOptimizer(self.task.module.parameters(), optimizer_class=factory)  # type: ignore[arg-type]  # any maker of an optimizer will do

    @property
    def state(self) -> Mapping[Any, Mapping[str, Any]]:
        """What this rank's part of the optimizer keeps."""
        return cast("Mapping[Any, Mapping[str, Any]]", self.optimizer.optim.state)


class Zero1(Ddp):
    """``torch.distributed.optim.ZeroRedundancyOptimizer`` over ``DistributedDataParallel``."""

    name = "zero1"
    device_counts = range(2, 1025)

    def prepare(self, task: Task) -> Trainer:
        """Replicate the module, shard the optimizer."""
        return Zero1Trainer(task)

    def proof(self, trainer: Trainer, rank: Rank, traffic: Mapping[str, int]) -> dict[str, Any]:
        """Check, beside what DDP checks, that ranks keep the state of each parameter once."""
        facts = super().proof(trainer, rank, traffic)
        replica = cast("Zero1Trainer", trainer)
        kept = total_over_ranks(len(replica.state))
        parameters = len(list(replica.task.module.parameters()))
        if kept != parameters:
            raise Incorrect(
                f"zero1 did not take effect: ranks keep {kept} states of {parameters} parameters"
            )
        whole = total_over_ranks(facts["optimizer_bytes"])
        return {**facts, "optimizer_bytes_of_all_ranks": whole}

    def model_bytes_in_theory(self, case: Case, single: ModelBytes) -> float | None:
        """Count all parameters, and the optimizer's state of one part of them."""
        return single.parameter_bytes + single.optimizer_bytes / case.device_count

    def traffic_in_theory(self, case: Case, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Count each gradient once, then each parameter: one rank broadcasts it, all call."""
        return 2 * single.parameter_bytes


STRATEGY = Zero1()
