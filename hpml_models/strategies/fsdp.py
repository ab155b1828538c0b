"""Fully sharded data parallel (FSDP2): parameters, gradients and optimizer state cut over ranks.

Y. Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel",
arXiv 2304.11277; ``torch.distributed.fsdp.fully_shard``. Each block's parameters are gathered
before it runs and let go behind it; gradients are averaged and scattered.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from hpml_models.training.evidence import total_over_ranks, world_facts
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy
from hpml_models.worlds.meshes import mesh_of
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import nn


class FsdpTrainer(EagerTrainer):
    """A replica that holds a shard of each tensor."""

    def __init__(self, task: Task) -> None:
        """Shard the module in place, before the optimizer sees its parameters."""
        from torch.distributed.fsdp import fully_shard

        self.replicas = task.rank.world_size
        mesh = mesh_of(task.rank, replica=self.replicas)
        for block in blocks(task):
            fully_shard(block, mesh=mesh)
        fully_shard(task.module, mesh=mesh)
        super().__init__(task, task.module)

    def accumulating(self, *, is_last: bool) -> AbstractContextManager[object]:
        """Keep gradients whole, on their rank, until the last micro-batch."""
        cast("Any", self.module).set_requires_gradient_sync(is_last)
        return nullcontext()

    def proof(self, traffic: Mapping[str, int]) -> dict[str, Any]:
        """Check that each rank holds a part, and that parts were gathered and scattered."""
        whole = sum(parameter.nbytes for parameter in self.module.parameters())
        facts = world_facts(self.module.parameters(), self.state)
        everywhere = total_over_ranks(facts["parameter_bytes"])
        moved = {name: sent for name, sent in traffic.items() if sent}
        gathers = sum(sent for name, sent in moved.items() if "gather" in name)
        scatters = sum(sent for name, sent in moved.items() if "reduce_scatter" in name)
        if facts["world_size"] != self.replicas or everywhere != whole or not gathers * scatters:
            raise Incorrect(
                f"fsdp did not take effect: ranks hold {everywhere} bytes of {whole}, "
                f"and moved {moved}"
            )
        return {**facts, "parameter_bytes_of_all_ranks": everywhere}


def blocks(task: Task) -> "list[nn.Module]":
    """Return what is gathered at a time: the links of the model's chain that own their tensors.

    Tensors that several links share are left to the root, which gathers them once.
    """
    own = set(task.module.modules())
    links = task.spec.pipeline_layers(task.module) if task.spec.pipeline_layers else []
    holders: dict[int, int] = {}
    for link in links:
        for parameter in link.parameters():
            holders[id(parameter)] = holders.get(id(parameter), 0) + 1
    return [
        link
        for link in links
        if link in own and all(holders[id(parameter)] == 1 for parameter in link.parameters())
    ]


class Fsdp(Strategy):
    """``torch.distributed.fsdp.fully_shard`` over each block and the root."""

    name = "fsdp"

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:  # noqa: ARG002  fits every model
        """Refuse only a batch that leaves a rank without work."""
        return why_not_split(case.batch, case.device_count, case.micro_batches)

    def prepare(self, task: Task) -> FsdpTrainer:
        """Shard the module on every rank."""
        return FsdpTrainer(task)

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count an equal shard of everything."""
        return single.total_bytes / case.device_count

    def traffic_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count a shard for each pass of each micro-batch, and all gradients once."""
        shard = single.parameter_bytes / case.device_count
        return 2 * shard * case.micro_batches + single.parameter_bytes


STRATEGY = Fsdp()
