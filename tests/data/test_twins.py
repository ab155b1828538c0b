"""Synthetic twins: the shapes, names and lengths of the real sets' batches, seeded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from files import write_pairs, write_questions, write_reviews

from hpml_models.cases import registry
from hpml_models.samples.base import Key
from hpml_models.text import twins
from hpml_models.types import IGNORED, Batch

VOCABULARY = 600


def made(make: Callable[..., Batch], batch: int = 256, length: int = 40, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return make(batch, generator, vocabulary=VOCABULARY, length=length)


def explained(*arguments: Any, **options: Any) -> Batch:
    return twins.with_phrases(twins.reviews(*arguments, **options))


@pytest.mark.parametrize(
    ("name", "make", "write", "options"),
    [
        ("sst2", twins.reviews, write_reviews, {}),
        ("sst2", explained, write_reviews, {"has_phrases": True}),
        ("squad", twins.questions, write_questions, {}),
        ("spa_eng", twins.translations, write_pairs, {}),
    ],
)
def test_a_twin_has_the_names_shapes_and_types_of_the_real_batch(
    tmp_path: Path,
    name: str,
    make: Callable[..., Batch],
    write: Callable[[Path], Path],
    options: dict[str, Any],
) -> None:
    spec = registry.data_sets()[name]
    samples = spec.open(write(tmp_path), "train", vocabulary=VOCABULARY, length=40, **options)
    real = samples.collate([samples[Key(index)] for index in range(8)])
    twin = made(make, batch=8)
    for one, other in ((twin.inputs, real.inputs), (twin.targets, real.targets)):
        assert {key: (value.shape, value.dtype) for key, value in one.items()} == {
            key: (value.shape, value.dtype) for key, value in other.items()
        }


@pytest.mark.parametrize("make", [twins.reviews, explained, twins.questions, twins.translations])
def test_a_twin_is_seeded_padded_and_within_the_vocabulary(make: Callable[..., Batch]) -> None:
    first, again, other = (made(make, length=192, seed=seed) for seed in (0, 0, 1))
    ids, mask = first.inputs["input_ids"], first.inputs["attention_mask"]
    assert torch.equal(ids, again.inputs["input_ids"])
    assert not torch.equal(ids, other.inputs["input_ids"])
    assert 0 <= ids.min() <= ids.max() < VOCABULARY
    sizes = mask.sum(dim=1)
    assert (mask[:, :-1] >= mask[:, 1:]).all()
    assert sizes.min() >= 3
    assert len(set(sizes.tolist())) > 5, "shards and micro-batches differ in words"
    assert len(set(ids[mask == 0].tolist())) == 1
    most = ids[mask == 1].bincount().topk(10).values.sum() / mask.sum()
    assert most > 0.3, "words are as frequent as words are"


def test_reviews_are_as_long_as_the_real_ones(data_root: str) -> None:
    samples = registry.data_sets()["sst2"].open(
        Path(data_root), "train", vocabulary=50_265, length=64
    )
    real = torch.tensor(samples.sizes, dtype=torch.float)
    twin = made(twins.reviews, batch=20_000, length=64).inputs["attention_mask"].sum(dim=1).float()
    assert float(twin.mean()) == pytest.approx(float(real.mean()), rel=0.1)
    for part in (0.1, 0.5, 0.9):
        assert float(twin.quantile(part) - real.quantile(part)) == pytest.approx(0, abs=1.5)


def test_half_of_the_questions_have_an_answer_and_it_is_in_the_context() -> None:
    batch = made(twins.questions, batch=2_000)
    starts, ends = batch.targets["start_positions"], batch.targets["end_positions"]
    assert 0.45 < (ends > 0).float().mean() < 0.55
    assert (starts <= ends).all()
    rows = torch.arange(2_000)[ends > 0]
    types = batch.inputs["token_type_ids"]
    assert types[rows, starts[rows]].all()
    assert types[rows, ends[rows] + 1].all(), "the end token is of the context's type"


def test_a_twin_of_a_translation_is_shown_what_comes_before() -> None:
    batch = made(twins.translations)
    shown, labels = batch.inputs["decoder_input_ids"], batch.targets["labels"]
    is_word = labels != IGNORED
    assert torch.equal(shown[:, 1:][is_word[:, 1:]], labels[:, :-1][is_word[:, 1:]])
    assert (shown[:, 0] == twins.WORDS.start).all()
    assert (labels[torch.arange(len(labels)), is_word.sum(dim=1) - 1] == twins.WORDS.end).all()


@pytest.mark.parametrize("length", [8, 16, 32, 512])
@pytest.mark.parametrize("make", [explained, twins.questions, twins.translations])
def test_a_twin_can_have_any_length(make: Callable[..., Batch], length: int) -> None:
    batch = made(make, batch=4, length=length)
    assert batch.inputs["input_ids"].shape == (4, length)
    if "start_positions" in batch.targets:
        assert (batch.targets["start_positions"] <= batch.targets["end_positions"]).all()
