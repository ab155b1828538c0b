"""Loading real data: the loader, and the loading of one batch as a step to be timed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpml_models.cases import registry
from hpml_models.cases.loading import LoadingCase
from hpml_models.instruments.memory import metrics_of, peak_memory_bytes
from hpml_models.training.loader import Order, Walk, make_loader
from hpml_models.types import Batch
from hpml_steps.local_step import LocalStep


def training_batches(data: str, data_root: str, batch: int, **options: Any) -> Iterator[Batch]:
    """Return shuffled training batches, epoch after epoch, made in this process.

    ``options`` are those of a model's preset: how long a text may be, say.
    """
    samples = registry.data_sets()[data].open(Path(data_root), "train", **options)
    try:
        order = Order(count=len(samples), batch=batch)
    except ValueError as error:
        raise ValueError(f"{data} in {data_root}: {error}") from None
    return iter(make_loader(samples, Walk(order=order, epochs=None)))


def prepare_loading(case: LoadingCase) -> LocalStep:
    """Prepare a step that loads one training batch: read, decode, augment, collate."""
    import torch

    torch.set_num_threads(1)
    batches = training_batches(case.data, str(case.data_root), case.batch)
    first = next(batches)
    return LocalStep(
        run=lambda: next(batches),
        clock=None,
        items_per_step=case.batch,
        effective={
            name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)}
            for name, tensor in first.inputs.items()
        },
        read_metrics=lambda: metrics_of(peak_memory_bytes("cpu")),
    )
