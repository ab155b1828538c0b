"""BERT (J. Devlin et al., arXiv 1810.04805) from transformers' own layers, classifying sequences.

The paper's preset is bert-base-uncased in size. Dropout is off: strategies draw it differently.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from hpml_models.networks.losses import mean_cross_entropy
from hpml_models.networks.tensor_plans import by_name
from hpml_models.types import Batch, ModelSpec, Preset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch
    from torch import nn

LABELS = 2


def build(*, vocabulary: int, width: int, heads: int, layers: int, length: int) -> "nn.Module":
    """Build embeddings, layers, pooler and classifier as one sequence."""
    from torch import nn
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertEmbeddings, BertLayer, BertPooler

    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",  # type: ignore[call-arg]  # taken by its base class
    )
    links: dict[str, nn.Module] = {"embeddings": BertEmbeddings(config)}
    links |= {f"layer{index}": BertLayer(config) for index in range(layers)}
    links["head"] = nn.Sequential(BertPooler(config), nn.Linear(width, LABELS))
    return nn.Sequential(OrderedDict(links))


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, **_: int
) -> Batch:
    """Draw token ids ``[batch, length]``, none of them padding, and labels ``[batch]``."""
    import torch

    return Batch(
        torch.randint(1, vocabulary, (batch, length), generator=generator),
        torch.randint(LABELS, (batch,), generator=generator),
    )


def optimizer(parameters: "Iterable[Any]") -> "torch.optim.Optimizer":
    """Return the optimizer of the fine-tuning recipe."""
    import torch

    return torch.optim.AdamW(parameters, lr=5e-5)


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
    loss=mean_cross_entropy,
    optimizer=optimizer,
    pipeline_layers=lambda module: list(module.children()),
    pipeline_layer_count=lambda *, layers, **_: layers + 2,
    tensor_plan=tensor_plan,
    parameter_count=parameter_count,
)
