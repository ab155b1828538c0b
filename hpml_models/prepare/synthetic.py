"""Seeded random batches: nothing to download, the same numbers each time."""

from hpml_models.types import SEED, Batch, ModelSpec, PresetName


def batches(spec: ModelSpec, preset: PresetName, batch: int, count: int) -> list[Batch]:
    """Make ``count`` batches as the model draws them at a preset."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    options = spec.presets[preset].options
    return [spec.make_batch(batch, generator, **options) for _ in range(count)]
