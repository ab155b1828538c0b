"""Distributed data parallel: a replica per rank, gradients averaged while backward runs.

S. Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
arXiv 2006.15704. Shards may be uneven: each rank weighs its mean loss so that the average of the
gradients is the gradient of the mean loss over the whole batch. BatchNorm sees its own shard only.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from hpml_models.instruments.traffic import Traffic
from hpml_models.training.evidence import spread_over_ranks, trained_bytes, world_facts
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy
from hpml_steps.incorrect import Incorrect


class DdpTrainer(EagerTrainer):
    """A replica that averages its gradients with the others', once in a step."""

    def __init__(self, task: Task) -> None:
        """Wrap the module; every rank must do so at the same time."""
        from torch.nn.parallel import DistributedDataParallel

        self.replicas = task.rank.world_size
        super().__init__(task, DistributedDataParallel(task.module))

    def accumulating(self, *, is_last: bool) -> AbstractContextManager[object]:
        """Keep gradients on their rank until the last micro-batch."""
        return nullcontext() if is_last else cast("Any", self.module).no_sync()

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Check that the gradients were averaged: once, and replicas are still the same."""
        parameters = list(self.task.module.parameters())
        facts = {
            **world_facts(parameters, self.state),
            "wrapper": type(self.module).__name__,
            "replicas_differ_by": spread_over_ranks(parameters),
        }
        if facts["replicas_differ_by"] != 0 or facts["world_size"] != self.replicas:
            raise Incorrect(f"{self.task.strategy} did not take effect: {facts}")
        sent, gradients = traffic.bytes["allreduce_"], trained_bytes(parameters)
        if sent != gradients:
            raise Incorrect(f"{self.task.strategy} reduced {sent} bytes a step, not {gradients}")
        return facts


class Ddp(Strategy):
    """``torch.nn.parallel.DistributedDataParallel``."""

    name = "ddp"
    shares_buffers = True
    device_counts = range(1, 1025)

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:  # noqa: ARG002  fits every model
        """Refuse only a batch that leaves a rank without work."""
        return why_not_split(case.batch, case.device_count, case.micro_batches)

    def prepare(self, task: Task) -> DdpTrainer:
        """Replicate the module on every rank."""
        return DdpTrainer(task)

    def traffic_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Count each gradient once, however many micro-batches it is the sum of."""
        return single.parameter_bytes


STRATEGY = Ddp()
