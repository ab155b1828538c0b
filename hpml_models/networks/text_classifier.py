"""What the classifiers of sentences have in common: RoBERTa base and large, XLM-R base.

Dropout is off unless asked for: strategies draw it differently.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hpml_models.networks import roberta
from hpml_models.networks.layers import layers_of
from hpml_models.networks.tensor_plans import encoder_plan
from hpml_models.types import Batch, ModelSpec, Preset, PresetName, Recipe

if TYPE_CHECKING:
    from hpml_models.networks.pretrained import Architecture


def preset(batch: int, **options: Any) -> Preset:
    """Return a preset without dropout, of random weights: no ``checkpoint``."""
    return Preset(batch=batch, options={"dropout": 0.0, "checkpoint": "", **options})


def spec(
    name: str,
    architecture: "Architecture",
    *,
    presets: Mapping[PresetName, Preset],
    recipe: Recipe,
    make_batch: Callable[..., Batch],
) -> ModelSpec:
    """Describe a classifier of SST-2's sentences."""
    return ModelSpec(
        name=name,
        data="sst2",
        presets=presets,
        build=partial(roberta.classifier, architecture),
        is_symbolic=False,
        make_batch=make_batch,
        recipe=recipe,
        pipeline_layers=layers_of,
        pipeline_layer_count=lambda *, layers, **_: layers + 2,
        tensor_plan=encoder_plan,
        parameter_count=parameter_count,
    )


def parameter_count(**options: Any) -> int:
    """Count by hand: the encoder without its unused pooler, and the head."""
    return roberta.encoder_parameters(**options) + roberta.head_parameters(**options)
