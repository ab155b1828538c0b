"""The loader: the same batches with any number of workers and from any batch on; none twice."""

import subprocess
import sys
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
import torch
from files import write_reviews
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hpml_models.data import cifar10
from hpml_models.samples.base import Key
from hpml_models.training.loader import Order, Walk, Workers, make_loader

ORDERS = st.builds(
    Order,
    count=st.integers(8, 60),
    batch=st.integers(1, 8),
    seed=st.integers(0, 9),
    sizes=st.none() | st.lists(st.integers(1, 5), min_size=60, max_size=60),
)


@given(order=ORDERS)
def test_an_epoch_has_each_sample_at_most_once_in_whole_batches(order: Order) -> None:
    keys = [key for batch in order.epoch(3) for key in batch]
    assert {len(batch) for batch in order.epoch(3)} == {order.batch}
    assert len({key.row for key in keys}) == len(keys) == order.count // order.batch * order.batch
    assert {key.epoch for key in keys} == {3}


@given(count=st.integers(1, 30), batch=st.integers(1, 8))
def test_validation_has_every_sample_in_order(count: int, batch: int) -> None:
    order = Order(count=count, batch=batch, is_shuffled=False)
    assert [key.row for keys in order.epoch(0) for key in keys] == [*range(count)]
    assert len(order.epoch(0)) == order.batches


@given(order=ORDERS, epoch=st.integers(0, 2), skipped=st.integers(0, 5))
def test_a_walk_goes_on_where_another_stopped(order: Order, epoch: int, skipped: int) -> None:
    skipped = min(skipped, order.batches)
    first = epoch * order.batches + skipped
    whole = list(islice(Walk(order=order, epochs=None), first + 7))
    resumed = Walk(order=order, first_epoch=epoch, first_batch=skipped, epochs=None)
    assert list(islice(resumed, 7)) == whole[first:]
    assert list(Walk(order=order, epochs=2)) == [*order.epoch(0), *order.epoch(1)]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [
        Order(count=40, batch=4, seed=seed).epoch(epoch) for seed in (0, 1) for epoch in (0, 1)
    ]
    indices = [[key.row for batch in order for key in batch] for order in orders]
    assert len({tuple(one) for one in indices}) == 4


def test_buckets_hold_samples_of_like_length_and_leave_out_no_length_by_rule() -> None:
    sizes = [index % 20 for index in range(1_003)]
    order = Order(count=1_003, batch=10, sizes=sizes)
    spreads = [
        max(sizes[key.row] for key in batch) - min(sizes[key.row] for key in batch)
        for batch in order.epoch(0)
    ]
    assert sum(spreads) / len(spreads) < 2, "20 lengths, in no order: about 17"
    left_out = [
        set(range(1_003)) - {key.row for batch in order.epoch(epoch) for key in batch}
        for epoch in range(20)
    ]
    lengths = [sizes[index] for some in left_out for index in some]
    assert 5 < sum(lengths) / len(lengths) < 14, "the longest would always be left out: 19"


@pytest.mark.parametrize(("count", "is_shuffled"), [(7, True), (0, False)])
def test_too_few_samples_are_counted(count: int, *, is_shuffled: bool) -> None:
    with pytest.raises(ValueError, match=f"{count} samples: too few for a batch of 8"):
        Order(count=count, batch=8, is_shuffled=is_shuffled)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images of noise for each class and split; the same in both."""
    root = tmp_path_factory.mktemp("cifar10")
    generator = np.random.default_rng(0)
    for label, number in product(range(10), range(2)):
        noise = Image.fromarray(generator.integers(256, size=(32, 32, 3), dtype=np.uint8))
        for split in ("train", "test"):
            folder = root / "cifar10" / split / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            noise.save(folder / f"{number}.png")
    return root


@pytest.mark.parametrize("count", [1, 2])
def test_any_number_of_workers_loads_the_same_batches(images: Path, count: int) -> None:
    """Augmented images too: pytorch#15170, pytorch#5059."""
    samples = cifar10.SPEC.open(images, "train")
    walk = Walk(order=Order(count=len(samples), batch=6), epochs=2)
    alone = list(make_loader(samples, walk))
    workers = Workers(count=count, is_persistent=True)
    loader = make_loader(samples, walk, workers)
    for _ in range(2):  # a persistent worker starts over
        for expected, batch in zip(alone, loader, strict=True):
            assert torch.equal(batch.inputs["pixel_values"], expected.inputs["pixel_values"])
            assert torch.equal(batch.targets["labels"], expected.targets["labels"])


def test_an_image_is_another_in_each_epoch_and_for_each_index(images: Path) -> None:
    samples = cifar10.SPEC.open(images, "train")
    seen = [samples[Key(index, epoch)][0] for index in range(10) for epoch in range(20)]
    assert len({as_bytes(one) for one in seen}) > 0.9 * len(seen)
    assert torch.equal(samples[Key(3, 7)][0], samples[Key(3, 7)][0])
    plain = cifar10.SPEC.open(images, "validation")
    assert torch.equal(plain[Key(3, 0)][0], plain[Key(3, 1)][0])


def as_bytes(image: torch.Tensor) -> bytes:
    return image.contiguous().numpy().tobytes()


def test_augmented_images_are_crops_and_flips_of_the_original(images: Path) -> None:
    original = cifar10.SPEC.open(images, "validation")[Key(0)][0]
    padded = torch.nn.functional.pad(original, (4, 4, 4, 4))
    crops = {
        (top, left): padded[:, top : top + 32, left : left + 32]
        for top, left in product(range(9), repeat=2)
    }
    allowed = {
        as_bytes(one): (*place, flipped)
        for place, crop in crops.items()
        for flipped, one in enumerate([crop, crop.flip(-1)])
    }
    samples = cifar10.SPEC.open(images, "train")
    drawn = [allowed[as_bytes(samples[Key(0, epoch)][0])] for epoch in range(300)]
    assert {top for top, _, _ in drawn} == {left for _, left, _ in drawn} == set(range(9))
    assert 100 < sum(flipped for _, _, flipped in drawn) < 200


def test_loading_leaves_torchs_random_state(images: Path) -> None:
    samples = cifar10.SPEC.open(images, "train")
    before = torch.get_rng_state()
    list(make_loader(samples, Walk(order=Order(count=len(samples), batch=6))))
    assert torch.equal(torch.get_rng_state(), before)


SCRIPT = """
import sys
from pathlib import Path
from hpml_models.data.sst2 import SPEC
from hpml_models.training.loader import Order, Walk, Workers, make_loader

samples = SPEC.open(Path(sys.argv[1]), "train", vocabulary=600, length=20, is_ahead=False)
list(samples.tokenizer.tokenizer.encode_batch(samples.texts))
walk = Walk(order=Order(count=len(samples), batch=8))
print(sum(len(batch) for batch in make_loader(samples, walk, Workers(count=2))))
"""


def test_workers_tokenize_after_a_fork_without_a_word_or_a_hang(tmp_path: Path) -> None:
    """As in huggingface/tokenizers#258 and #187."""
    write_reviews(tmp_path)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("56\n", "")
