"""CIFAR-10 (A. Krizhevsky, 2009): 32x32 colour images in 10 classes.

Found below a data root in either of two layouts: the official archive as torchvision unpacks it
(``cifar-10-batches-py/``, here or below ``cifar10/``), or a folder per class
(``cifar10/{train,test}/<class>/*.jpg`` or ``.png``). No licence is stated by its authors.
"""

from pathlib import Path
from typing import Any

from hpml_models.samples.images import ImageSamples
from hpml_models.types import DataSpec, DataSplit

FOLDERS = {"train": "train", "validation": "test"}  # as its authors name the splits
OFFICIAL = "cifar-10-batches-py"
CLASSES = 10
URL = "https://www.cs.toronto.edu/~kriz/cifar.html"
LAYOUTS = f"{OFFICIAL}/ or cifar10/{{train,test}}/<class>/*.jpg"


def open_split(root: Path, split: DataSplit, **_: object) -> ImageSamples:
    """Open a split below ``root``; training images are cropped (32 with padding 4) and flipped.

    Raises FileNotFoundError for a missing folder or an empty class, and ValueError for an image
    that cannot be decoded when it is reached; each names the path.
    """
    return ImageSamples(_open_images(root, split), is_augmented=split == "train")


def _open_images(root: Path, split: DataSplit) -> Any:
    from torchvision.datasets import CIFAR10

    for parent in (root, root / "cifar10"):
        if (parent / OFFICIAL).is_dir():
            return _open_official(CIFAR10, parent, split)
    folder = root / "cifar10" / FOLDERS[split]
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no_data: put {LAYOUTS} into {root} (from {URL}), or leave --data-root out for "
            "synthetic batches"
        )
    return _open_folders(folder)


def _open_official(cifar10: Any, parent: Path, split: str) -> Any:
    try:
        return cifar10(parent, train=split == "train")
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{parent / OFFICIAL} is not the whole archive ({error}): expected data_batch_1 to 5, "
            "test_batch and batches.meta with their published checksums"
        ) from None


def _open_folders(folder: Path) -> Any:
    from torchvision.datasets import ImageFolder

    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(classes) != CLASSES:
        raise FileNotFoundError(
            f"{folder} has {len(classes)} folders: expected one for each of {CLASSES} classes"
        )
    for path in classes:
        if not any(path.glob("*.jpg")) and not any(path.glob("*.png")):
            raise FileNotFoundError(f"{path} has no image: expected *.jpg or *.png of 32x32 pixels")
    return ImageFolder(str(folder), loader=decode)


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


def download(root: Path) -> None:
    """Download the official archive into ``root`` by torchvision, which checks it."""
    from torchvision.datasets import CIFAR10

    CIFAR10(root, download=True)


SPEC = DataSpec(
    name="cifar10",
    licence="none stated by its authors",
    revision="the archive of 2009, MD5 c58f30108f718f92721af3b95e74349a",
    url=URL,
    files=LAYOUTS,
    size="50,000 + 10,000 images",
    open=open_split,
    download=download,
)
