"""Opened data sets: batches hold what the files say, padding included, and nothing is lost."""

from pathlib import Path
from typing import Any

import pytest
import torch
from files import write_pairs, write_questions, write_reviews

from hpml_models.cases import registry
from hpml_models.data import spa_eng, squad, sst2
from hpml_models.samples.base import Key, Samples
from hpml_models.types import Batch

VOCABULARY = 600
OPTIONS = {"vocabulary": VOCABULARY, "length": 40}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for write in (write_reviews, write_questions, write_pairs):
        write(folder)
    return folder


def batch_of(samples: Samples[Any], *indices: int) -> Batch:
    return samples.collate([samples[Key(index)] for index in indices])


@pytest.mark.parametrize("name", ["sst2", "squad", "spa_eng"])
def test_a_batch_has_one_mask_and_fixed_shapes(root: Path, name: str) -> None:
    samples = registry.data_sets()[name].open(root, "train", **OPTIONS)
    batch = batch_of(samples, *range(8))
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    assert ids.shape == mask.shape == (8, 40)
    assert {tensor.dtype for tensor in batch.inputs.values()} == {torch.int64}
    assert ids.max() < VOCABULARY
    assert mask.sum(dim=1).tolist() == list(samples.sizes)[:8]
    assert (mask[:, :-1] >= mask[:, 1:]).all(), "padding comes last"
    pads = set(ids[mask == 0].tolist())
    assert len(pads) == 1, "padding is the tokenizer's own id"
    assert not pads & set(ids[mask == 1].tolist())


def test_the_tokens_of_a_review_are_its_text(root: Path) -> None:
    samples = sst2.SPEC.open(root, "validation", **OPTIONS)
    reviews = sst2.read_reviews(root / "sst2/dev.tsv")
    batch = batch_of(samples, *range(len(samples)))
    assert batch.targets["labels"].tolist() == list(reviews.labels)
    assert len(set(reviews.labels)) == 2
    tokenizer = samples.tokenizer.tokenizer
    assert tokenizer.decode_batch(batch.inputs["input_ids"].tolist()) == list(reviews.texts)


def test_reviews_tokenized_when_asked_for_are_the_same(root: Path) -> None:
    ahead = sst2.SPEC.open(root, "train", **OPTIONS, has_phrases=True)
    late = sst2.SPEC.open(root, "train", **OPTIONS, has_phrases=True, is_ahead=False)
    for name, tensor in batch_of(late, 3, 1, 4).inputs.items():
        assert torch.equal(tensor, batch_of(ahead, 3, 1, 4).inputs[name])


def test_reviews_are_as_long_as_the_longest_where_that_is_asked(root: Path) -> None:
    samples = sst2.SPEC.open(root, "train", **OPTIONS, is_padded=False)
    longest = max(list(samples.sizes)[:5])
    assert batch_of(samples, *range(5)).inputs["input_ids"].shape == (5, longest)


def test_reviews_that_are_too_long_are_cut_and_counted(root: Path) -> None:
    whole = sst2.SPEC.open(root, "train", **OPTIONS)
    cut = sst2.SPEC.open(root, "train", vocabulary=VOCABULARY, length=6)
    assert cut.facts["cut_to_length"] == sum(size > 6 for size in whole.sizes) > 0
    assert (whole.facts["cut_to_length"], whole.facts["rows"]) == (0, 60)
    last = batch_of(cut, list(whole.sizes).index(max(whole.sizes))).inputs["input_ids"][0, -1]
    assert last == cut.tokenizer.special.end


def test_equal_sentences_have_one_owner_and_unknown_ones_none(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    for name, rows in (("train", "good\t1\nbad\t0\ngood\t1\n"), ("dev", "bad\t0\nodd\t0\n")):
        (tmp_path / "sst2" / f"{name}.tsv").write_text(f"sentence\tlabel\n{rows}")
    train, dev = (
        sst2.SPEC.open(tmp_path, split, **OPTIONS, has_phrases=True)
        for split in ("train", "validation")
    )
    assert batch_of(train, 0, 1, 2).inputs["owner"].tolist() == [0, 1, 0]
    assert batch_of(dev, 0, 1).inputs["owner"].tolist() == [1, -1]
    assert train.concepts(words=5, most=9) == [0, 1]


def test_spans_cover_the_words_of_a_review(root: Path) -> None:
    samples = sst2.SPEC.open(root, "train", **OPTIONS, has_phrases=True)
    batch = batch_of(samples, *range(10))
    spans, mask = batch.inputs["spans"], batch.inputs["attention_mask"]
    words = torch.tensor([len(samples.texts[index].split()) for index in range(10)])
    assert torch.equal(spans.any(dim=2).sum(dim=1), 2 * words - 1)
    sizes = mask.sum(dim=1)
    inner = (torch.arange(40) > 0) & (torch.arange(40) < sizes[:, None] - 1)
    assert torch.equal(spans[:, 0].bool(), inner), "the whole sentence without control tokens"


def test_a_vocabulary_that_does_not_fit_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="a vocabulary of 100 is too small for roberta-base"):
        sst2.SPEC.open(root, "train", vocabulary=100, length=40)


def test_questions_without_an_answer_are_kept_with_the_start_token_as_label(root: Path) -> None:
    samples = squad.SPEC.open(root, "train", **OPTIONS)
    unanswerable = [one.id for one in samples.asked if not samples.golds[one.id]]
    assert 0.2 * len(samples.asked) < len(unanswerable) == samples.facts["unanswerable"]
    batch = batch_of(samples, *range(len(samples)))
    starts, ends = batch.targets["start_positions"], batch.targets["end_positions"]
    assert (starts <= ends).all()
    assert samples.facts["windows"] == len(samples) > len(samples.asked)
    found = set()
    for index, number in enumerate(samples.windows.question_N):
        one = samples.asked[number]
        if int(ends[index]):
            found.add(one.id)
            types = batch.inputs["token_type_ids"][index]
            assert types[starts[index] : ends[index] + 1].all(), "the answer is in the context"
    assert found == {one.id for one in samples.asked} - set(unanswerable)
    assert samples.facts["answer_in_no_window"] == 0


def test_token_types_are_of_the_context_and_not_of_padding(root: Path) -> None:
    samples = squad.SPEC.open(root, "train", **OPTIONS)
    batch = batch_of(samples, 0, 1)
    types, mask, ids = (
        batch.inputs[name] for name in ("token_type_ids", "attention_mask", "input_ids")
    )
    assert (types <= mask).all()
    for row in range(2):
        first = int(types[row].argmax())
        separators = (ids[row, :first] == samples.tokenizer.special.end).sum()
        assert separators == 1
        assert types[row].sum() == mask[row].sum() - first


def test_what_was_trained_on_is_left_out_of_validation_and_counted(tmp_path: Path) -> None:
    write_questions(tmp_path, validation=3)
    samples = squad.SPEC.open(tmp_path, "validation", **OPTIONS)
    assert (len(samples.asked), samples.facts["trained_on"]) == (3, 0)
    folder = tmp_path / "squad_v2"
    (folder / "dev-v2.0.json").write_bytes((folder / "train-v2.0.json").read_bytes())
    with pytest.raises(ValueError, match=r"every context of .* is in train"):
        squad.SPEC.open(tmp_path, "validation", **OPTIONS)


def test_the_decoder_is_shown_what_comes_before_what_it_is_to_give(root: Path) -> None:
    samples = spa_eng.SPEC.open(root, "train", **OPTIONS)
    batch = batch_of(samples, *range(6))
    shown, labels = batch.inputs["decoder_input_ids"], batch.targets["labels"]
    special = samples.tokenizer.special
    assert (shown[:, 0] == special.start).all()
    is_label = labels != -100
    assert torch.equal(shown[:, 1:][is_label[:, 1:]], labels[:, :-1][is_label[:, 1:]])
    for row in range(6):
        words = labels[row][is_label[row]].tolist()
        assert words[-1] == special.end
        target = samples.tokenizer.tokenizer.decode(words)
        assert target.replace(" ", "") == samples.pairs[row].target.lower().replace(" ", "")
        assert (shown[row][~is_label[row]] == special.pad).all()


def test_validation_shares_no_sentence_and_counts_unknown_words(root: Path) -> None:
    train, held = (spa_eng.SPEC.open(root, split, **OPTIONS) for split in ("train", "validation"))
    assert not {one.source for one in train.pairs} & {one.source for one in held.pairs}
    assert train.facts["unknown_words"] == 0
    few = spa_eng.SPEC.open(root, "train", vocabulary=10, length=40)
    assert few.facts["unknown_words"] > 0


@pytest.mark.parametrize("name", ["sst2", "squad", "spa_eng"])
def test_the_real_files_open(data_root: str, name: str) -> None:
    options = {"vocabulary": 4096, "length": 128, "is_ahead": False}
    samples = registry.data_sets()[name].open(Path(data_root), "validation", **options)
    batch = batch_of(samples, *range(16))
    assert batch.inputs["input_ids"].shape == (16, 128)
