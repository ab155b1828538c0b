"""Building what a case names: its model, its batches."""

from itertools import islice
from typing import TYPE_CHECKING

from hpml_models.prepare import synthetic
from hpml_models.prepare.loading import training_batches
from hpml_models.types import SEED, SYNTHETIC, Batch, Case, ModelSpec
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import nn

BATCHES = 4  # how many batches a step rotates through: more than one, so that none is special


def build_module(spec: ModelSpec, case: Case, device: str) -> "nn.Module":
    """Build the case's model, seeded, on ``device``; check that it is the model it claims to be."""
    import torch

    torch.manual_seed(SEED)
    module = spec.build(**case.options)
    count = sum(parameter.numel() for parameter in module.parameters())
    if spec.parameter_count is not None and count != (
        expected := spec.parameter_count(**case.options)
    ):
        raise Incorrect(f"{spec.name} has {count:,} parameters, not {expected:,}")
    return module.to(device)


def build_batches(spec: ModelSpec, case: Case, device: str) -> list[Batch]:
    """Make or load the case's global batches and put them on ``device``, outside any timing."""
    if case.data == SYNTHETIC:
        made = synthetic.batches(spec, case.options, case.batch, BATCHES)
    else:
        root = str(case.data_root)
        batches = training_batches(case.data, root, case.batch, **case.options)
        made = list(islice(batches, BATCHES))
    return [batch.to(device) for batch in made]
