"""A translation Transformer; the network is in :mod:`hpml_models.networks.translation`.

The paper's preset has the vocabulary and the length of the experiments that this suite replaces;
the recipe is theirs: Adam with torch's defaults. Dropout is off unless asked for: strategies draw
it differently.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hpml_models.networks.layers import layers_of
from hpml_models.networks.losses import mean_word_cross_entropy, word_count
from hpml_models.networks.tensor_plans import by_name
from hpml_models.text import twins
from hpml_models.types import Batch, ModelSpec, Preset, Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn


def build(**options: Any) -> "nn.Module":
    """Build encoder and decoder."""
    from hpml_models.networks.translation import Translator

    return Translator(**options)


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, **_: Any
) -> Batch:
    """Make pairs of sentences as spa-eng's, padded.

    The decoder is shown the target from its start token on; ``labels`` are one token further on.
    """
    return twins.translations(batch, generator, vocabulary=vocabulary, length=length)


def optimizer(parameters: Iterable[Any]) -> "torch.optim.Optimizer":
    """Return the recipe's optimizer."""
    import torch

    return torch.optim.Adam(parameters, lr=1e-3)


def tensor_plan(module: "nn.Module") -> Mapping[str, Any]:
    """Cut the heads, and the feed-forward's width."""
    return by_name(module, columns=("query", "key", "value", "up"), rows=("out", "down"))


def parameter_count(*, vocabulary: int, d_model: int, layers: int, **_: Any) -> int:
    """Count as the experiments did: three matrices of words, the layers, two final norms."""
    layer_pair = 28 * d_model**2 + 32 * d_model
    return 3 * vocabulary * d_model + vocabulary + layers * layer_pair + 4 * d_model


def preset(batch: int, **options: Any) -> Preset:
    """Return a preset without dropout."""
    return Preset(batch=batch, options={"dropout": 0.0, "dropout_at": "block_end", **options})


SPEC = ModelSpec(
    name="translation",
    data="spa_eng",
    presets={
        "tiny": preset(16, vocabulary=1000, d_model=64, heads=4, layers=2, length=16),
        "small": preset(32, vocabulary=8000, d_model=128, heads=8, layers=4, length=64),
        "paper": preset(32, vocabulary=65_002, d_model=512, heads=8, layers=4, length=512),
    },
    build=build,
    is_symbolic=False,
    make_batch=make_batch,
    recipe=Recipe(optimizer=optimizer, loss=mean_word_cross_entropy, loss_count=word_count),
    pipeline_layers=layers_of,
    leaves_inputs_unused=True,  # the head is handed the source, too
    pipeline_layer_count=lambda *, layers, **_: 2 * layers + 3,
    tensor_plan=tensor_plan,
    parameter_count=parameter_count,
)
