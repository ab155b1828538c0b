"""Images and their labels, cropped and flipped at random where a model is trained on them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpml_models.samples.base import Key, Samples
from hpml_models.types import SEED, Batch

if TYPE_CHECKING:
    from torch import Tensor

BORDER = 4  # black pixels around an image before it is cropped


class ImageSamples(Samples["tuple[Tensor, int]"]):
    """Images of bytes ``[3, 32, 32]`` and their labels, cropped and flipped where asked.

    Where an image is cropped, and whether it is flipped, depends on seed, epoch and index alone.
    """

    def __init__(self, images: Any, *, is_augmented: bool, seed: int = SEED) -> None:
        """Take a torchvision data set of decoded images and labels."""
        self._images, self._is_augmented, self._seed = images, is_augmented, seed
        self.facts: Mapping[str, Any] = {"rows": len(images)}

    def __len__(self) -> int:
        """Count the images."""
        return len(self._images)

    def __getitem__(self, key: Key) -> "tuple[Tensor, int]":
        """Read, decode and augment an image."""
        from torchvision.transforms.functional import pil_to_tensor

        image, label = self._images[key.row]
        pixels = pil_to_tensor(image)
        return (_augment(pixels, (self._seed, *key)) if self._is_augmented else pixels), label

    def collate(self, rows: "Sequence[tuple[Tensor, int]]") -> Batch:
        """Return images ``[B, 3, 32, 32]`` from -1 to 1, and labels ``[B]``."""
        import torch

        images, labels = zip(*rows, strict=True)
        pixels = torch.stack(images).float().div_(255).sub_(0.5).div_(0.5)
        return Batch(inputs={"pixel_values": pixels}, targets={"labels": torch.tensor(labels)})


def _augment(pixels: "Tensor", seed: Sequence[int]) -> "Tensor":
    """Crop an image out of a black border and flip it, as torchvision's transforms would."""
    import numpy as np
    from torch.nn.functional import pad

    generator = np.random.default_rng(seed)
    top, left = generator.integers(2 * BORDER + 1, size=2)
    cropped = pad(pixels, (BORDER,) * 4)[:, top : top + 32, left : left + 32]
    return cropped.flip(-1) if generator.integers(2) else cropped
