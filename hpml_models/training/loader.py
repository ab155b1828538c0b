"""Batches of samples in a seeded order that depends on nothing but seed and epoch.

The order of an epoch, and what is random about each sample, are the same with any number of
workers, and from any batch on: a resumed run sees what an uninterrupted one would have seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpml_models.samples.base import Key, Samples
from hpml_models.types import SEED, Batch

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

BUCKET = 50  # batches whose samples are sorted by length together


@dataclass(frozen=True, kw_only=True)
class Order:
    """In which order samples become batches.

    ``sizes``: how long each sample is, where batches are to be of similar ones. Training leaves
    out the rest of an epoch that fills no batch, other samples in each; validation takes all.
    """

    count: int
    batch: int
    seed: int = SEED
    is_shuffled: bool = True
    sizes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where there is not one whole batch to train on."""
        if self.count < (self.batch if self.is_shuffled else 1):
            raise ValueError(f"{self.count} samples: too few for a batch of {self.batch}")

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        return self.count // self.batch if self.is_shuffled else -(-self.count // self.batch)

    def epoch(self, epoch: int) -> list[list[Key]]:
        """Return the batches of an epoch."""
        if not self.is_shuffled:
            return self._cut(np.arange(self.count), epoch)
        generator = np.random.default_rng((self.seed, epoch))
        indices = generator.permutation(self.count)[: self.batches * self.batch]
        if self.sizes is None:
            return self._cut(indices, epoch)
        batches = self._cut(self._bucketed(indices, self.sizes), epoch)
        return [batches[index] for index in generator.permutation(len(batches))]

    def _bucketed(self, indices: Any, sizes: Sequence[int]) -> Any:
        """Sort runs of shuffled samples by length."""
        size, of = self.batch * BUCKET, np.asarray(sizes)
        runs = [indices[first : first + size] for first in range(0, len(indices), size)]
        return np.concatenate([run[np.argsort(of[run], kind="stable")] for run in runs])

    def _cut(self, indices: Any, epoch: int) -> list[list[Key]]:
        keys = [Key(int(index), epoch) for index in indices]
        firsts = range(0, self.batches * self.batch, self.batch)
        return [keys[first : first + self.batch] for first in firsts]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A way through an order: from a batch of an epoch on, for some epochs or (None) for ever."""

    order: Order
    first_epoch: int = 0
    first_batch: int = 0
    epochs: int | None = 1

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of each batch."""
        epoch, skipped = self.first_epoch, self.first_batch
        while self.epochs is None or epoch < self.first_epoch + self.epochs:
            yield from self.order.epoch(epoch)[skipped:]
            epoch, skipped = epoch + 1, 0


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes that read ahead; none: batches are made when they are asked for."""

    count: int = 0
    is_pinned: bool = False  # into memory that a GPU copies from
    is_persistent: bool = False  # kept from one walk to the next


def make_loader(
    samples: Samples[Any], walk: Walk, workers: Workers | None = None
) -> "DataLoader[Batch]":
    """Return what yields the batches of a walk.

    Its own random state is apart: torch's global one stays as it was.
    """
    import torch
    from torch.utils.data import DataLoader

    chosen = workers or Workers()
    return DataLoader(
        samples,  # type: ignore[arg-type]  # of rows that it collates to batches, by keys
        batch_sampler=walk,
        collate_fn=samples.collate,
        num_workers=chosen.count,
        pin_memory=chosen.is_pinned,
        persistent_workers=chosen.is_persistent and chosen.count > 0,
        generator=torch.Generator().manual_seed(walk.order.seed),
        worker_init_fn=_begin,
    )


def _begin(_: int) -> None:
    """Compute on one thread in each worker: they are the parallelism."""
    import torch

    torch.set_num_threads(1)
