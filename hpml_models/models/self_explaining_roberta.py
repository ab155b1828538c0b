"""Self-Explaining RoBERTa (D. Rajagopal et al., arXiv 2103.12279) on SST-2's sentences.

The recipe is that of the experiments: AdamW 2e-5 with betas (0.9, 0.99), gradients clipped at 1,
the joint objective, the five nearest concepts. ``objective="three"`` is the paper's own. The
concepts are random until the training loop has encoded known sentences: the work is the same.
Dropout is off unless asked for: strategies draw it differently.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hpml_models.networks import roberta
from hpml_models.networks.layers import layers_of
from hpml_models.networks.losses import sample_count, summed_cross_entropy
from hpml_models.networks.tensor_plans import encoder_plan
from hpml_models.networks.text_classifier import preset
from hpml_models.text import twins
from hpml_models.types import Batch, ModelSpec, Recipe

if TYPE_CHECKING:
    import torch

OWN = {
    "labels": 2,
    "nearest": 5,
    "head_dropout": 0.0,
    "objective": "joint",
    "similarity": "inner_product",
    "has_phrases": True,
}


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, labels: int, **_: Any
) -> Batch:
    """Make sentences as SST-2's, padded, with their phrases."""
    reviews = twins.reviews(batch, generator, vocabulary=vocabulary, length=length, classes=labels)
    return twins.with_phrases(reviews)


def optimizer(parameters: Iterable[Any]) -> "torch.optim.Optimizer":
    """Return the recipe's optimizer; torch's own weight decay of 0.01 acts on everything."""
    import torch

    return torch.optim.AdamW(parameters, lr=2e-5, betas=(0.9, 0.99), eps=1e-8)


def parameter_count(**options: Any) -> int:
    """Count by hand: the encoder without its unused pooler, and what is above it."""
    above = roberta.self_explaining_parameters(**options)
    return roberta.encoder_parameters(**options) + above


SPEC = ModelSpec(
    name="self_explaining_roberta",
    data="sst2",
    presets={
        "tiny": preset(
            16,
            vocabulary=4096,
            width=128,
            heads=4,
            layers=2,
            length=64,
            positions=64,
            concepts=2000,
            **OWN,
        ),
        "small": preset(
            32,
            vocabulary=8192,
            width=256,
            heads=4,
            layers=6,
            length=64,
            positions=64,
            concepts=4000,
            **OWN,
        ),
        "paper": preset(
            16,
            vocabulary=50265,
            width=768,
            heads=12,
            layers=12,
            length=50,
            positions=512,
            concepts=28_261,  # the distinct sentences of at most five words
            **OWN,
        ),
    },
    build=roberta.self_explaining,
    is_symbolic=False,
    make_batch=make_batch,
    recipe=Recipe(
        optimizer=optimizer, loss=summed_cross_entropy, loss_count=sample_count, clip_norm=1.0
    ),
    pipeline_layers=layers_of,
    pipeline_layer_count=lambda *, layers, **_: layers + 2,
    tensor_plan=encoder_plan,
    parameter_count=parameter_count,
)
