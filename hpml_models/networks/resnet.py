"""The ResNets (K. He et al., arXiv 1512.03385) as torchvision builds them, at CIFAR-10's shapes.

Training follows the usual recipe for CIFAR-10: SGD 0.1, momentum 0.9, weight decay 5e-4. The
presets differ in batch size only: the models are the published ones in each.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from hpml_models.networks.losses import mean_cross_entropy, sample_count
from hpml_models.types import Batch, ModelSpec, Preset, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import nn

CLASSES = {"classes": 1000}  # torchvision's head; CIFAR-10's labels use the first ten
IMAGE = (3, 32, 32)  # channels, height, width
LABELS = 10


def spec(
    name: str, *, stages: Sequence[int], has_bottlenecks: bool = False, parameter_count: int
) -> ModelSpec:
    """Describe one of torchvision's ResNets; ``parameter_count`` is for 1000 classes."""

    def build(*, classes: int) -> "nn.Module":
        from hpml_models.networks.image_classifier import ImageClassifier

        return ImageClassifier(stages, classes, has_bottlenecks=has_bottlenecks)

    features = 2048 if has_bottlenecks else 512

    return ModelSpec(
        name=name,
        data="cifar10",
        presets={
            "tiny": Preset(batch=16, options=CLASSES),
            "small": Preset(batch=128, options=CLASSES),
            "paper": Preset(batch=512, options=CLASSES),
        },
        build=build,
        make_batch=make_batch,
        recipe=Recipe(optimizer=optimizer, loss=mean_cross_entropy, loss_count=sample_count),
        pipeline_layers=pipeline_layers,
        pipeline_layer_count=lambda **_: sum(stages) + 2,
        parameter_count=lambda *, classes: parameter_count + (features + 1) * (classes - 1000),
    )


def make_batch(batch: int, generator: "torch.Generator", **_: Any) -> Batch:
    """Draw normal images ``[batch, 3, 32, 32]`` and uniform labels ``[batch]``."""
    import torch

    return Batch(
        inputs={"pixel_values": torch.randn(batch, *IMAGE, generator=generator)},
        targets={"labels": torch.randint(LABELS, (batch,), generator=generator)},
    )


def optimizer(parameters: "Iterable[Any]") -> "torch.optim.Optimizer":
    """Return the recipe's optimizer."""
    import torch

    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4)


def pipeline_layers(module: "nn.Module") -> "list[nn.Module]":
    """Stem, residual blocks, head."""
    from torch import nn

    from hpml_models.networks.image_classifier import Stem

    resnet = cast("Any", module)
    stem = Stem(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
    head = nn.Sequential(resnet.avgpool, nn.Flatten(), resnet.fc)
    layers = [resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4]
    return [stem, *(block for layer in layers for block in layer), head]
