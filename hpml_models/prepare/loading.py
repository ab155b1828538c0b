"""Loading real data: the loader, and the loading of one batch as a step to be timed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hpml_models.cases import registry
from hpml_models.prepare.prepared import LocalStep
from hpml_models.types import SEED, Batch, Rank

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


def make_loader(data: str, data_root: str, split: str, batch: int) -> "DataLoader[Batch]":
    """Open a data set and shuffle it into whole batches, decoding in this process."""
    import torch
    from torch.utils.data import DataLoader

    samples = registry.data_sets()[data].open(Path(data_root), split)
    if len(samples) < batch:
        raise ValueError(
            f"{data} in {data_root} has {len(samples)} {split} samples: "
            f"too few for a batch of {batch}"
        )
    torch.manual_seed(SEED)  # the loader shuffles and augments by torch's own generator
    return DataLoader(samples, batch_size=batch, shuffle=True, drop_last=True)


def endless(loader: "DataLoader[Batch]") -> Iterator[Batch]:
    """Go through the data epoch after epoch."""
    while True:
        for tensors in loader:
            yield Batch(*tensors)


def loading_id(data: str, batch: int) -> str:
    """Return the key of the baseline of loading: ``load-cifar10-b16``."""
    return f"load-{data}-b{batch}"


def prepare_loading(data: str, data_root: str, batch: int) -> LocalStep:
    """Prepare a step that loads one training batch: read, decode, augment, collate."""
    import torch

    torch.set_num_threads(1)
    batches = endless(make_loader(data, data_root, "train", batch))
    first = next(batches)
    return LocalStep(
        run=lambda: next(batches),
        clock=None,
        items_per_step=batch,
        effective={"shape": list(first.inputs.shape), "dtype": str(first.inputs.dtype)},
        rank=Rank(index=0, world_size=1, device="cpu", kept={}),
    )
