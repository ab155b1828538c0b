"""Loading real data: the loader, and the loading of one batch as a step to be timed."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpml_models.cases import registry
from hpml_models.instruments.memory import metrics_of, peak_memory_bytes
from hpml_models.types import SEED, Batch, DataSplit
from hpml_steps.local_step import LocalStep

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


def make_loader(
    data: str, data_root: str, split: DataSplit, batch: int, **options: Any
) -> "DataLoader[Batch]":
    """Open a data set and shuffle it into whole batches, decoding in this process.

    ``options`` are those of a model's preset: how long a text may be, say.
    """
    import torch
    from torch.utils.data import DataLoader

    spec = registry.data_sets()[data]
    samples = spec.open(Path(data_root), split, **options)
    if len(samples) < batch:
        raise ValueError(
            f"{data} in {data_root} has {len(samples)} {split} samples: "
            f"too few for a batch of {batch}"
        )
    torch.manual_seed(SEED)  # the loader shuffles and augments by torch's own generator
    return DataLoader(
        samples, batch_size=batch, shuffle=True, drop_last=True, collate_fn=spec.collate
    )


def endless(loader: "DataLoader[Batch]") -> Iterator[Batch]:
    """Go through the data epoch after epoch."""
    while True:
        yield from loader


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
        effective={
            name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)}
            for name, tensor in first.inputs.items()
        },
        read_metrics=lambda: metrics_of(peak_memory_bytes("cpu")),
    )
