"""torchvision's ResNets under transformers' name for an image: ``pixel_values``."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


class ImageClassifier(ResNet):  # type: ignore[misc]  # torchvision has no types
    """A ResNet of torchvision's, with its weights' names."""

    def __init__(self, stages: Sequence[int], classes: int, *, has_bottlenecks: bool) -> None:
        """Make as many blocks as each of the four stages has."""
        block = Bottleneck if has_bottlenecks else BasicBlock
        super().__init__(block, list(stages), num_classes=classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return scores ``[B, K]`` of images ``[B, 3, H, W]``."""
        scores: Tensor = super().forward(pixel_values)
        return scores


class Stem(nn.Sequential):
    """The first layers, which take the image."""

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return features ``[B, C, H, W]``."""
        features: Tensor = super().forward(pixel_values)
        return features
