"""RoBERTa base (Y. Liu et al., arXiv 1907.11692) as a classifier of SST-2's sentences.

The recipe is that of the experiments with two labels: AdamW 2e-5, weight decay 0.01 on matrices,
gradients clipped at 10, sentences of at most 50 tokens.
"""

from typing import TYPE_CHECKING, Any

from hpml_models.networks import recipes
from hpml_models.networks.losses import mean_cross_entropy, sample_count
from hpml_models.networks.roberta import ROBERTA
from hpml_models.networks.text_classifier import preset, spec
from hpml_models.text import twins
from hpml_models.types import Batch, Recipe

if TYPE_CHECKING:
    import torch


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, labels: int, **_: Any
) -> Batch:
    """Make sentences as SST-2's, padded."""
    return twins.reviews(batch, generator, vocabulary=vocabulary, length=length, classes=labels)


SPEC = spec(
    "roberta_base",
    ROBERTA,
    presets={
        "tiny": preset(
            16, vocabulary=4096, width=128, heads=4, layers=2, length=64, positions=64, labels=2
        ),
        "small": preset(
            32, vocabulary=8192, width=256, heads=4, layers=6, length=64, positions=64, labels=2
        ),
        "paper": preset(
            32, vocabulary=50265, width=768, heads=12, layers=12, length=50, positions=512, labels=2
        ),
    },
    recipe=Recipe(
        optimizer=recipes.adamw,
        loss=mean_cross_entropy,
        loss_count=sample_count,
        parameter_groups=recipes.matrices_decay,
        clip_norm=10.0,
    ),
    make_batch=make_batch,
)
