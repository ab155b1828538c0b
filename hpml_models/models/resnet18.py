"""ResNet-18 (K. He et al., arXiv 1512.03385) as torchvision builds it, at CIFAR-10's shapes.

Training follows the usual recipe for CIFAR-10: SGD 0.1, momentum 0.9, weight decay 5e-4. The
presets differ in batch size only: the model is the published one in each.
"""

from typing import TYPE_CHECKING, cast

from hpml_models.types import ModelSpec, Preset

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor, nn

CLASSES = 1000  # torchvision's head; CIFAR-10's labels use the first ten


def build() -> "nn.Module":
    """Build the model with random weights."""
    from torchvision.models import resnet18

    return cast("nn.Module", resnet18(weights=None, num_classes=CLASSES))


def loss(outputs_BK: "Tensor", targets_B: "Tensor") -> "Tensor":  # noqa: N803  shapes in names
    """Mean cross-entropy."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs_BK, targets_B)


def optimizer(parameters: "Iterator[nn.Parameter]") -> "torch.optim.Optimizer":
    """Return the recipe's optimizer."""
    import torch

    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4)


SPEC = ModelSpec(
    name="resnet18",
    data="cifar10",
    presets={
        "tiny": Preset(batch=16, options={}),
        "small": Preset(batch=128, options={}),
        "paper": Preset(batch=512, options={}),
    },
    build=build,
    loss=loss,
    optimizer=optimizer,
    parameter_count=11_689_512,
)
