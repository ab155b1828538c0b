"""RoBERTa large (Y. Liu et al., arXiv 1907.11692) as a classifier of sentences.

The recipe is that of the experiments with four labels: SGD 0.1, momentum 0.9. SST-2 uses the first
two.
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

OWN = {"labels": 4}


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, **_: Any
) -> Batch:
    """Make sentences as SST-2's, padded."""
    return twins.reviews(batch, generator, vocabulary=vocabulary, length=length)


SPEC = spec(
    "roberta_large",
    ROBERTA,
    presets={
        "tiny": preset(
            16, vocabulary=4096, width=128, heads=8, layers=4, length=64, positions=64, **OWN
        ),
        "small": preset(
            32, vocabulary=8192, width=512, heads=8, layers=8, length=64, positions=64, **OWN
        ),
        "paper": preset(
            16, vocabulary=50265, width=1024, heads=16, layers=24, length=50, positions=512, **OWN
        ),
    },
    recipe=Recipe(optimizer=recipes.sgd, loss=mean_cross_entropy, loss_count=sample_count),
    make_batch=make_batch,
)
