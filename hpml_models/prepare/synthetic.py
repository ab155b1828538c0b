"""Seeded random batches: nothing to download, the same numbers each time."""

from collections.abc import Mapping
from typing import Any

from hpml_models.types import SEED, Batch, ModelSpec


def batches(spec: ModelSpec, options: Mapping[str, Any], batch: int, count: int) -> list[Batch]:
    """Make ``count`` batches as the model draws them, built with ``options``."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    return [spec.make_batch(batch, generator, **options) for _ in range(count)]
