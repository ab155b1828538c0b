"""Seeded random batches in a data set's shapes: nothing to download, the same numbers each time."""

from hpml_models.types import Batch, DataSpec


def batches(spec: DataSpec, batch: int, count: int, seed: int) -> list[Batch]:
    """Make ``count`` batches: inputs ``[batch, *input_shape]`` normal, targets uniform."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return [
        Batch(
            torch.randn(batch, *spec.input_shape, generator=generator),
            torch.randint(spec.classes, (batch,), generator=generator),
        )
        for _ in range(count)
    ]
