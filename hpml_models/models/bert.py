"""BERT (J. Devlin et al., arXiv 1810.04805) from transformers' own layers, classifying sequences.

The paper's preset is bert-base-uncased in size. Dropout is off: strategies draw it differently.
"""

from typing import TYPE_CHECKING, Any

from hpml_models.networks.losses import mean_cross_entropy, sample_count
from hpml_models.networks.tensor_plans import by_name
from hpml_models.types import Batch, ModelSpec, Preset, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch
    from torch import nn

LABELS = 2


def build(*, vocabulary: int, width: int, heads: int, layers: int, length: int) -> "nn.Module":
    """Build embeddings, layers, pooler and classifier."""
    from hpml_models.networks.bert_classifier import SequenceClassifier

    return SequenceClassifier(
        vocabulary=vocabulary, width=width, heads=heads, layers=layers, length=length, labels=LABELS
    )


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, **_: int
) -> Batch:
    """Draw sentences of half the length to all of it, padded with 0, and labels ``[batch]``."""
    import torch

    lengths = torch.randint(length // 2, length + 1, (batch, 1), generator=generator)
    attention_mask = (torch.arange(length) < lengths).long()
    ids = torch.randint(1, vocabulary, (batch, length), generator=generator)
    return Batch(
        inputs={"input_ids": ids * attention_mask, "attention_mask": attention_mask},
        targets={"labels": torch.randint(LABELS, (batch,), generator=generator)},
    )


def optimizer(parameters: "Iterable[Any]") -> "torch.optim.Optimizer":
    """Return the optimizer of the fine-tuning recipe."""
    import torch

    return torch.optim.AdamW(parameters, lr=5e-5)


def pipeline_layers(module: "nn.Module") -> "list[nn.Module]":
    """Return embeddings, layers and head."""
    layers: list[nn.Module] = list(module.layers)  # type: ignore[arg-type]  # a ModuleList
    return layers


def tensor_plan(module: "nn.Module") -> "Mapping[str, Any]":
    """Cut the heads, and the feed-forward's width."""
    return by_name(
        module,
        columns=("self.query", "self.key", "self.value", "intermediate.dense"),
        rows=("output.dense",),
    )


def parameter_count(*, vocabulary: int, width: int, layers: int, length: int, **_: int) -> int:
    """Count by hand: three embeddings and a norm, the layers, the pooler, the classifier."""
    embeddings = (vocabulary + length + 2 + 2) * width
    layer = 12 * width**2 + 13 * width
    return embeddings + layers * layer + width**2 + width + (width + 1) * LABELS


SPEC = ModelSpec(
    name="bert",
    data=None,
    presets={
        "tiny": Preset(
            batch=16,
            options={"vocabulary": 1000, "width": 128, "heads": 4, "layers": 6, "length": 32},
        ),
        "small": Preset(
            batch=32,
            options={"vocabulary": 30522, "width": 256, "heads": 4, "layers": 8, "length": 128},
        ),
        "paper": Preset(
            batch=64,
            options={"vocabulary": 30522, "width": 768, "heads": 12, "layers": 12, "length": 512},
        ),
    },
    build=build,
    is_symbolic=False,
    make_batch=make_batch,
    recipe=Recipe(optimizer=optimizer, loss=mean_cross_entropy, loss_count=sample_count),
    pipeline_layers=pipeline_layers,
    pipeline_layer_count=lambda *, layers, **_: layers + 2,
    tensor_plan=tensor_plan,
    parameter_count=parameter_count,
)
