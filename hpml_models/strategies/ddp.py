"""Distributed data parallel: a replica per rank, gradients averaged while backward runs.

S. Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
arXiv 2006.15704. Shards may be uneven: each rank weighs its mean loss so that the average of the
gradients is the gradient of the mean loss over the whole batch. BatchNorm sees its own shard only.
"""

from typing import Any, cast

from hpml_models.training import EagerTrainer
from hpml_models.types import Batch, Case, Incorrect, ModelSpec, Rank, Share, Task, Trainer


class DdpTrainer(EagerTrainer):
    """A replica that averages its gradients with the others'."""

    def __init__(self, task: Task) -> None:
        """Wrap the module; every rank must do so at the same time."""
        from torch.nn.parallel import DistributedDataParallel

        super().__init__(task, DistributedDataParallel(task.module))

    def share(self, batch: Batch) -> Share:
        """Cut the batch into one part per rank, sizes at most one apart."""
        rank = self.task.rank
        if len(batch) < rank.world_size:
            raise ValueError(f"batch {len(batch)} is smaller than the world of {rank.world_size}")
        parts = zip(*(tensor.tensor_split(rank.world_size) for tensor in batch), strict=True)
        part = Batch(*list(parts)[rank.index])
        return Share(part, weight=len(part) * rank.world_size / len(batch))


class Ddp:
    """``torch.nn.parallel.DistributedDataParallel``."""

    name = "ddp"
    device_counts = range(1, 1025)
    needs_world = True

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:  # noqa: ARG002  fits every model
        """Refuse only a batch that leaves a rank without work."""
        if case.batch < case.device_count:
            return f"batch {case.batch} is smaller than the world of {case.device_count}"
        return None

    def prepare(self, task: Task) -> Trainer:
        """Replicate the module on every rank."""
        return DdpTrainer(task)

    def proof(self, trainer: Trainer, rank: Rank) -> dict[str, Any]:
        """Check that replicas that saw different data are still the same: gradients were shared."""
        import torch.distributed as dist

        replica = cast("DdpTrainer", trainer)
        spread = _spread_over_ranks(replica)
        if dist.get_world_size() != rank.world_size or spread != 0:
            raise Incorrect(
                f"ddp did not take effect: world size {dist.get_world_size()} of "
                f"{rank.world_size}, replicas differ by {spread}"
            )
        return {
            "world_size": dist.get_world_size(),
            "backend": dist.get_backend(),
            "wrapper": type(replica.module).__name__,
            "gradient_bytes": sum(
                p.numel() * p.element_size() for p in replica.module.parameters()
            ),
            "replicas_differ_by": spread,
        }


def _spread_over_ranks(trainer: DdpTrainer) -> float:
    """Return the largest difference of any parameter between any two ranks."""
    import torch
    import torch.distributed as dist

    flat = torch.cat([p.detach().flatten() for p in trainer.module.parameters()])
    largest, smallest = flat.clone(), flat.clone()
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    dist.all_reduce(smallest, dist.ReduceOp.MIN)
    return float((largest - smallest).abs().max())


STRATEGY = Ddp()
