"""The data sets: both layouts load, and a damaged one is named."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from hpml_models.cases import registry
from hpml_models.data.cifar10 import SPEC
from hpml_models.prepare import synthetic
from hpml_models.prepare.build import training_batches
from hpml_models.samples.base import Key, Samples
from hpml_models.types import IGNORED, Batch, ModelSpec

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder per class, two images each: the class's number is its grey."""
    for split in ("train", "test"):
        for label, name in enumerate(CLASSES):
            folder = tmp_path / "cifar10" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (32, 32), (label * 20,) * 3).save(folder / f"{number}.png")
    return tmp_path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The official archive's files, ten images each, and their checksums in place of the real."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def write(name: str, content: dict[str, object]) -> tuple[str, str]:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return name, hashlib.md5(data, usedforsecurity=False).hexdigest()

    images = np.repeat(np.arange(10, dtype=np.uint8)[:, None] * 20, 3 * 32 * 32, axis=1)
    batch = {"data": images, "labels": list(range(10))}
    train = [write(f"data_batch_{number}", batch) for number in range(1, 6)]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", batch)])
    filename, md5 = write("batches.meta", {"label_names": CLASSES})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": filename, "key": "label_names", "md5": md5})
    return tmp_path


@pytest.mark.parametrize(("layout", "train"), [("folders", 20), ("archive", 50)])
def test_either_layout_gives_normalised_images_and_their_labels(
    request: pytest.FixtureRequest, layout: str, train: int
) -> None:
    root = request.getfixturevalue(layout)
    assert len(SPEC.open(root, "train")) == train
    samples = SPEC.open(root, "validation")
    batch = samples.collate([samples[Key(index)] for index in range(len(samples))])
    for image, label in zip(batch.inputs["pixel_values"], batch.targets["labels"], strict=True):
        assert image.shape == (3, 32, 32)
        assert image.dtype == torch.float32
        assert torch.allclose(image, torch.full_like(image, label * 20 / 255 * 2 - 1))


def test_the_real_samples_load(data_root: str) -> None:
    """Run on real data where ``--data-root`` gives it."""
    batch = next(training_batches("cifar10", data_root, 64))
    images = batch.inputs["pixel_values"]
    assert images.shape == (64, 3, 32, 32)
    assert images.abs().max() <= 1
    assert images.std() > 0.1
    assert len(set(batch.targets["labels"].tolist())) > 3


def read_all(samples: Samples[Any]) -> None:
    for index in range(len(samples)):
        samples[Key(index)]


def test_a_missing_folder_is_named_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"put .*<class>.* into {tmp_path}"):
        SPEC.open(tmp_path, "train")


def test_an_empty_class_is_named(folders: Path) -> None:
    for image in (folders / "cifar10/train/frog").iterdir():
        image.unlink()
    with pytest.raises(FileNotFoundError, match=r"train/frog has no image: expected \*\.jpg"):
        SPEC.open(folders, "train")


def test_a_missing_class_is_counted(folders: Path) -> None:
    (folders / "cifar10/train/frog").rename(folders / "frog")
    with pytest.raises(FileNotFoundError, match="has 9 folders: expected one for each of 10"):
        SPEC.open(folders, "train")


def test_a_truncated_image_is_named(folders: Path) -> None:
    damaged = folders / "cifar10/test/cat/0.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"cat/0\.png is no whole image.*expected 32x32"):
        read_all(SPEC.open(folders, "validation"))


def test_an_image_of_another_size_is_named(folders: Path) -> None:
    Image.new("RGB", (64, 32)).save(folders / "cifar10/test/cat/0.png")
    with pytest.raises(ValueError, match=r"cat/0\.png has \(64, 32\) pixels: expected 32x32"):
        read_all(SPEC.open(folders, "validation"))


def test_a_damaged_archive_is_named(archive: Path) -> None:
    (archive / "cifar-10-batches-py/data_batch_3").write_bytes(b"half")
    with pytest.raises(FileNotFoundError, match="cifar-10-batches-py is not the whole archive"):
        SPEC.open(archive, "train")


def test_too_few_samples_for_a_batch_are_counted(folders: Path) -> None:
    with pytest.raises(ValueError, match=r"cifar10 in .*: 20 samples: too few for a batch of 21"):
        training_batches("cifar10", str(folders), 21)


def synthetic_batches(spec: ModelSpec) -> list[Batch]:
    return synthetic.batches(spec, spec.presets["tiny"].options, 8, 2)


@pytest.mark.parametrize("spec", registry.models().values(), ids=lambda spec: spec.name)
def test_synthetic_batches_are_seeded(spec: ModelSpec) -> None:
    first, second = synthetic_batches(spec), synthetic_batches(spec)
    assert len(first[0]) == 8
    for name, tensor in first[1].inputs.items():
        assert torch.equal(tensor, second[1].inputs[name])
    earlier = first[0].inputs  # a mask may be the same
    assert any(not torch.equal(one, earlier[name]) for name, one in first[1].inputs.items())


def test_synthetic_batches_have_the_shapes_of_the_real_data(folders: Path) -> None:
    real = next(training_batches("cifar10", str(folders), 8))
    made = synthetic_batches(registry.models()["resnet18"])[0]
    for one, other in ((made.inputs, real.inputs), (made.targets, real.targets)):
        assert {name: value.shape for name, value in one.items()} == {
            name: value.shape for name, value in other.items()
        }
    assert made.targets["labels"].max() < len(CLASSES)


def test_a_translation_is_shown_what_comes_before_what_it_is_to_give() -> None:
    spec = registry.models()["translation"]
    batch = synthetic_batches(spec)[0]
    labels = batch.targets["labels"]
    is_word = labels != IGNORED
    shown = batch.inputs["decoder_input_ids"][:, 1:]
    assert torch.equal(shown[is_word[:, 1:]], labels[:, :-1][is_word[:, 1:]])
    assert not is_word.all()
    assert spec.recipe.loss_count(batch.targets) == int(is_word.sum())
