"""BERT base (J. Devlin et al., arXiv 1810.04805) that answers SQuAD's questions.

The recipe is the experiments' baseline: AdamW 5e-5. Dropout is off unless asked for: strategies
draw it differently.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hpml_models.networks import bert
from hpml_models.networks.layers import layers_of
from hpml_models.networks.losses import mean_span_cross_entropy, sample_count
from hpml_models.networks.tensor_plans import encoder_plan
from hpml_models.networks.text_classifier import preset
from hpml_models.text import twins
from hpml_models.types import Batch, ModelSpec, Recipe

if TYPE_CHECKING:
    import torch


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, **_: Any
) -> Batch:
    """Make windows as SQuAD's: question and context, padded, half of them without an answer."""
    return twins.questions(batch, generator, vocabulary=vocabulary, length=length)


def optimizer(parameters: Iterable[Any]) -> "torch.optim.Optimizer":
    """Return the optimizer of the fine-tuning recipe."""
    import torch

    return torch.optim.AdamW(parameters, lr=5e-5)


SPEC = ModelSpec(
    name="bert",
    data="squad",
    presets={
        "tiny": preset(16, vocabulary=4096, width=64, heads=4, layers=6, length=128, positions=128),
        "small": preset(
            32, vocabulary=30522, width=256, heads=4, layers=8, length=128, positions=128
        ),
        "paper": preset(
            64, vocabulary=30522, width=768, heads=12, layers=12, length=384, positions=512
        ),
    },
    build=bert.question_answering,
    is_symbolic=False,
    make_batch=make_batch,
    recipe=Recipe(optimizer=optimizer, loss=mean_span_cross_entropy, loss_count=sample_count),
    pipeline_layers=layers_of,
    pipeline_layer_count=lambda *, layers, **_: layers + 2,
    tensor_plan=encoder_plan,
    parameter_count=bert.parameter_count,
)
