"""Building what a case names: its model, its batches."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpml_models.cases import registry
from hpml_models.prepare import synthetic
from hpml_models.training.loader import Order, Walk, make_loader
from hpml_models.types import SEED, SYNTHETIC, Batch, Case, ModelSpec
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import nn

BATCHES = 4  # how many batches a step rotates through: more than one, so that none is special


def build_module(spec: ModelSpec, options: Mapping[str, Any], device: str) -> "nn.Module":
    """Build a model, seeded, on ``device``; check that it is the model it claims to be."""
    import torch

    torch.manual_seed(SEED)
    module = spec.build(**options)
    count = sum(parameter.numel() for parameter in module.parameters())
    if spec.parameter_count is not None and count != (expected := spec.parameter_count(**options)):
        raise Incorrect(f"{spec.name} has {count:,} parameters, not {expected:,}")
    return module.to(device)


def build_batches(spec: ModelSpec, case: Case, device: str) -> list[Batch]:
    """Make or load the case's global batches and put them on ``device``, outside any timing."""
    if case.data == SYNTHETIC:
        made = synthetic.batches(spec, spec.options_of(case), case.batch, BATCHES)
    else:
        root = str(case.data_root)
        batches = training_batches(case.data, root, case.batch, **spec.options_of(case))
        made = list(islice(batches, BATCHES))
    return [batch.to(device) for batch in made]


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
