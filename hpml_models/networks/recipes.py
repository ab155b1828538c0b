"""The optimizers of the experiments that this suite replaces, as their own code has them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

WEIGHT_DECAY = 0.01


def sgd(parameters: Iterable[Any]) -> "torch.optim.Optimizer":
    """Return the optimizer of the large classifiers: no weight decay."""
    import torch

    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def adamw(parameters: Iterable[Any]) -> "torch.optim.Optimizer":
    """Return the optimizer of RoBERTa's fine-tuning."""
    import torch

    return torch.optim.AdamW(parameters, lr=2e-5)


def matrices_decay(
    parameters: "Iterable[tuple[str, nn.Parameter]]",
) -> list[dict[str, Any]]:
    """Let matrices decay; biases and LayerNorms, which have one dimension, do not."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for _, parameter in parameters:
        groups[parameter.ndim > 1].append(parameter)
    return [
        {"params": groups[True], "weight_decay": WEIGHT_DECAY},
        {"params": groups[False], "weight_decay": 0.0},
    ]
