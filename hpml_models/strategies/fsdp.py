"""Fully sharded data parallel (FSDP2): parameters, gradients and optimizer state cut over ranks.

Y. Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel",
arXiv 2304.11277; ``torch.distributed.fsdp.fully_shard``. Each block's parameters are gathered
before it runs and let go behind it; gradients are averaged and scattered.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from hpml_models.instruments.traffic import Traffic
from hpml_models.training.evidence import total_over_ranks, trained_bytes, world_facts
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy
from hpml_models.worlds.meshes import mesh_of
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import nn

PADDED = 1.5  # shards are padded to equal lengths, small ones most


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

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Check that each rank holds a part, and that parts were gathered and scattered."""
        whole = sum(parameter.nbytes for parameter in self.module.parameters())
        facts = world_facts(self.module.parameters(), self.state)
        everywhere = total_over_ranks(facts["parameter_bytes"])
        if facts["world_size"] != self.replicas or everywhere != whole or not traffic.of("gather"):
            raise Incorrect(
                f"fsdp did not take effect: ranks hold {everywhere} bytes of {whole}, "
                f"and moved {dict(traffic.bytes)}"
            )
        largest_gather = self._check_units(traffic)
        return {
            **facts,
            "parameter_bytes_of_all_ranks": everywhere,
            "largest_gather_bytes": largest_gather,
        }

    def _check_units(self, traffic: Traffic) -> int:
        """Check that no gather is larger than a layer, and that gradients met once."""
        gathers = [sent for name, sent in traffic.largest.items() if "gather" in name]
        largest = max(gathers) * self.replicas
        if largest > (layer := PADDED * _largest_layer_bytes(self.task)):
            raise Incorrect(f"fsdp gathers {largest} bytes at once, a layer has {layer:.0f}")
        scattered, gradients = traffic.of("reduce_scatter"), trained_bytes(self.module.parameters())
        gradients *= self.replicas  # this rank's shards were counted
        if not 0 < scattered <= PADDED * gradients:
            raise Incorrect(f"fsdp scatters {scattered} bytes of gradients of {gradients}")
        return largest


def _largest_layer_bytes(task: Task) -> int:
    """Return the bytes of the model's largest layer, or of what lies outside its layers."""
    layers = task.spec.pipeline_layers(task.module) if task.spec.pipeline_layers else []
    inside = [layer for layer in layers if layer in {*task.module.modules()}]
    sizes = [sum(one.nbytes for one in layer.parameters()) for layer in inside]
    of_layers = {one for layer in inside for one in layer.parameters()}
    outside = sum(one.nbytes for one in task.module.parameters() if one not in of_layers)
    return max([outside, *sizes])


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

    def least_traffic(self, case: ParallelCase) -> float:  # noqa: ARG002
        """Allow for one gather less: what the forward pass left in place is not gathered again."""
        return 3 / 4


STRATEGY = Fsdp()
