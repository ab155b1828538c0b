"""CIFAR-10 (A. Krizhevsky, 2009): 32x32 colour images in 10 classes.

Found below a data root in either of two layouts: the official archive as torchvision unpacks it
(``cifar-10-batches-py/``, here or below ``cifar10/``), or a folder per class
(``cifar10/{train,test}/<class>/*.jpg`` or ``.png``). No licence is stated by its authors.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpml_models.types import Batch, DataSpec, DataSplit

if TYPE_CHECKING:
    from torch import Tensor

FOLDERS = {"train": "train", "validation": "test"}  # as its authors name the splits
OFFICIAL = "cifar-10-batches-py"
CLASSES = 10
LAYOUTS = f"{OFFICIAL}/ or cifar10/{{train,test}}/<class>/*.jpg"


def open_split(root: Path, split: DataSplit, **_: object) -> Any:
    """Open a split below ``root``: pairs of ``[3, 32, 32]`` image and label.

    Training images are cropped (32 with padding 4) and flipped at random; all are normalised with
    mean and deviation 0.5. Raises FileNotFoundError for a missing folder or an empty class, and
    ValueError for an image that cannot be decoded when it is reached; each names the path.
    """
    from torchvision.datasets import CIFAR10

    for parent in (root, root / "cifar10"):
        if (parent / OFFICIAL).is_dir():
            return _open_official(CIFAR10, parent, split)
    folder = root / "cifar10" / FOLDERS[split]
    if not folder.is_dir():
        raise FileNotFoundError(f"no CIFAR-10 {split} split in {root}: expected {LAYOUTS} there")
    return _open_folders(folder, split)


def _open_official(cifar10: Any, parent: Path, split: str) -> Any:
    try:
        return cifar10(parent, train=split == "train", transform=transform(split))
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{parent / OFFICIAL} is not the whole archive ({error}): expected data_batch_1 to 5, "
            "test_batch and batches.meta with their published checksums"
        ) from None


def _open_folders(folder: Path, split: str) -> Any:
    from torchvision.datasets import ImageFolder

    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(classes) != CLASSES:
        raise FileNotFoundError(
            f"{folder} has {len(classes)} folders: expected one for each of {CLASSES} classes"
        )
    for path in classes:
        if not any(path.glob("*.jpg")) and not any(path.glob("*.png")):
            raise FileNotFoundError(f"{path} has no image: expected *.jpg or *.png of 32x32 pixels")
    return ImageFolder(str(folder), transform=transform(split), loader=decode)


def decode(path: str) -> Any:
    """Decode one image file; raises ValueError with its path if it is damaged or not 32x32."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            decoded = image.convert("RGB")
    except OSError as error:
        raise ValueError(
            f"{path} is no whole image ({error}): expected 32x32 JPEG or PNG"
        ) from None
    if decoded.size != (32, 32):
        raise ValueError(f"{path} has {decoded.size} pixels: expected 32x32")
    return decoded


def transform(split: str) -> Any:
    """Return the split's transform from an image to a ``[3, 32, 32]`` tensor."""
    from torchvision import transforms

    augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    finish = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    return transforms.Compose((augment if split == "train" else []) + finish)


def collate(samples: list[tuple["Tensor", int]]) -> Batch:
    """Make a batch of samples: images ``[B, 3, 32, 32]`` and labels ``[B]``."""
    import torch

    images, labels = zip(*samples, strict=True)
    return Batch(
        inputs={"pixel_values": torch.stack(images)}, targets={"labels": torch.tensor(labels)}
    )


SPEC = DataSpec(
    name="cifar10",
    licence="none stated by its authors",
    revision="the archive of 2009, MD5 c58f30108f718f92721af3b95e74349a",
    url="https://www.cs.toronto.edu/~kriz/cifar.html",
    files=LAYOUTS,
    open=open_split,
    collate=collate,
)
