"""A translation Transformer; the network is in :mod:`hpml_models.networks.translation`.

The paper's preset has the vocabulary and the length of the experiments that this suite replaces.
"""

from typing import TYPE_CHECKING, Any

from hpml_models.networks.tensor_plans import by_name
from hpml_models.types import IGNORED, Batch, ModelSpec, Preset, Recipe, Tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch
    from torch import Tensor, nn

PAD = 0  # the id of padding; checked against the network's


def build(*, vocabulary: int, width: int, heads: int, layers: int, length: int) -> "nn.Module":
    """Build encoder and decoder."""
    from hpml_models.networks.translation import Translator

    return Translator(vocabulary, width, heads, layers, length)


def make_batch(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int, **_: int
) -> Batch:
    """Draw pairs of sentences of half the length to all of it, padded.

    The decoder is shown the target from its first word on; ``labels`` are one word further on.
    """
    import torch

    def sentences(size: int) -> "Tensor":
        ids = torch.randint(1, vocabulary, (batch, size), generator=generator)
        lengths = torch.randint(size // 2, size + 1, (batch, 1), generator=generator)
        return ids.where(torch.arange(size) < lengths, PAD)

    target, source = sentences(length + 1), sentences(length)
    return Batch(
        inputs={
            "input_ids": source,
            "attention_mask": (source != PAD).long(),
            "decoder_input_ids": target[:, :-1],
        },
        targets={"labels": target[:, 1:].where(target[:, 1:] != PAD, IGNORED)},
    )


def loss(outputs_BTV: "Tensor", targets: Tensors) -> "Tensor":
    """Mean cross-entropy over the words that are no padding."""
    from torch.nn.functional import cross_entropy

    labels_BT = targets["labels"]
    total = cross_entropy(
        outputs_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / loss_count(targets).clamp(min=1)


def loss_count(targets: Tensors) -> "Tensor":
    """Count the words, on their own device."""
    return (targets["labels"] != IGNORED).sum()


def optimizer(parameters: "Iterable[Any]") -> "torch.optim.Optimizer":
    """Return the recipe's optimizer."""
    import torch

    return torch.optim.Adam(parameters, lr=1e-4)


def pipeline_layers(module: "nn.Module") -> "list[nn.Module]":
    """Return the network's own layers."""
    layers: list[nn.Module] = list(module.layers)  # type: ignore[arg-type]  # a ModuleList
    return layers


def tensor_plan(module: "nn.Module") -> "Mapping[str, Any]":
    """Cut the heads, and the feed-forward's width."""
    return by_name(module, columns=("query", "key", "value", "up"), rows=("out", "down"))


def parameter_count(*, vocabulary: int, width: int, layers: int, **_: int) -> int:
    """Count as the experiments did: three matrices of words, the layers, two final norms."""
    layer_pair = 28 * width**2 + 32 * width
    return 3 * vocabulary * width + vocabulary + layers * layer_pair + 4 * width


SPEC = ModelSpec(
    name="translation",
    data=None,
    presets={
        "tiny": Preset(
            batch=16,
            options={"vocabulary": 1000, "width": 64, "heads": 4, "layers": 2, "length": 16},
        ),
        "small": Preset(
            batch=32,
            options={"vocabulary": 8000, "width": 128, "heads": 8, "layers": 4, "length": 64},
        ),
        "paper": Preset(
            batch=32,
            options={"vocabulary": 65_002, "width": 512, "heads": 8, "layers": 4, "length": 512},
        ),
    },
    build=build,
    is_symbolic=False,
    make_batch=make_batch,
    recipe=Recipe(optimizer=optimizer, loss=loss, loss_count=loss_count),
    pipeline_layers=pipeline_layers,
    pipeline_layer_count=lambda *, layers, **_: 2 * layers + 3,
    tensor_plan=tensor_plan,
    parameter_count=parameter_count,
)
