"""Data parallelism done wrong, in the ways it goes wrong: the property must catch each.

No pytest here: ranks import this file.
"""

from torch import Tensor

from hpml_models.strategies.ddp import DdpTrainer
from hpml_models.types import Batch, Share


class Unweighted(DdpTrainer):
    """Uneven shards count as if they were even."""

    def share(self, batch: Batch) -> Share:
        return super().share(batch)._replace(weight=1.0)


class Summed(DdpTrainer):
    """Gradients are summed where they should be averaged."""

    def share(self, batch: Batch) -> Share:
        share = super().share(batch)
        return share._replace(weight=share.weight * self.task.rank.world_size)


class Unreduced(DdpTrainer):
    """Gradients stay on their rank."""

    def step(self, share: Share) -> Tensor:
        with self.module.no_sync():  # type: ignore[operator]  # DistributedDataParallel has it
            return super().step(share)
