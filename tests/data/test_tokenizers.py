"""Tokenizers: trained ones are the same each time, published ones are transformers' own."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpml_models.data import sst2
from hpml_models.text import byte_bpe, rows, wordpiece, words
from hpml_models.text.tokenizer import (
    WHOLE,
    TextTokenizer,
    TokenizerKind,
    load_tokenizer,
    open_tokenizer,
    train_tokenizer,
)

KINDS = [byte_bpe.KIND, wordpiece.KIND, words.KIND]
TEXTS = [
    "the rhine is a river that is long and deep, and its banks are green",
    "a river isn't a lake; a lake doesn't move, a river moves!",
    "crème brûlée über alles, señor: ¿dónde está el río?",
    *(f"{word} of {other}" for word in ["deep", "deeper", "deepest"] for other in "abcdefgh"),
]
by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def trained(request: pytest.FixtureRequest) -> TextTokenizer:
    return train_tokenizer(request.param, TEXTS, 500)


@by_kind
def test_the_same_texts_train_the_same_tokenizer(kind: TokenizerKind) -> None:
    first, second = (train_tokenizer(kind, TEXTS, 450).tokenizer.get_vocab() for _ in range(2))
    assert first == second
    assert len(first) <= 450


def test_a_trained_byte_tokenizer_numbers_control_tokens_as_roberta_does() -> None:
    special = train_tokenizer(byte_bpe.KIND, TEXTS, 300).special
    assert (special.start, special.pad, special.end, special.unknown) == (0, 1, 2, 3)


@settings(max_examples=50)
@given(text=st.text(st.characters(blacklist_categories=["Cs"]), max_size=20))
def test_bytes_give_any_text_back(text: str) -> None:
    tokenizer = train_tokenizer(byte_bpe.KIND, [], 261).tokenizer
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@pytest.mark.parametrize("text", ["a <s> b </s>", "[CLS] a [SEP] [PAD]", "<pad><unk><mask>"])
def test_text_never_becomes_a_control_token(trained: TextTokenizer, text: str) -> None:
    inside = trained.tokenizer.encode(text).ids[1:-1]
    special = trained.special
    assert not {special.pad, special.start, special.end} & set(inside)
    assert trained.tokenizer.encode(text).ids[0] == special.start
    assert trained.tokenizer.encode(text).ids[-1] == special.end


def test_a_vocabulary_beyond_the_models_is_an_error(trained: TextTokenizer) -> None:
    trained.check_fits(trained.size)
    with pytest.raises(ValueError, match=rf"has {trained.size} tokens, the model's vocabulary 10:"):
        trained.check_fits(10)


@by_kind
def test_a_vocabulary_too_small_for_its_alphabet_is_an_error(kind: TokenizerKind) -> None:
    with pytest.raises(ValueError, match=rf"too small for {kind.name}: it needs"):
        train_tokenizer(kind, TEXTS, kind.smallest_size - 1)


def test_a_tokenizer_in_one_file_is_read_and_another_kind_is_named(tmp_path: Path) -> None:
    trained = train_tokenizer(words.KIND, TEXTS, 40)
    trained.tokenizer.save(str(tmp_path / WHOLE))
    loaded = load_tokenizer(words.KIND, tmp_path)
    assert loaded.tokenizer.get_vocab() == trained.tokenizer.get_vocab()
    with pytest.raises(ValueError, match=r"has no '\[PAD\]': is it another kind"):
        load_tokenizer(wordpiece.KIND, tmp_path)
    (tmp_path / WHOLE).write_text('{"version":')
    with pytest.raises(ValueError, match=r"tokenizer\.json is no whole tokenizer"):
        load_tokenizer(words.KIND, tmp_path)


def test_a_missing_file_of_a_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"has no merges\.txt: put vocab\.json and merges"):
        load_tokenizer(byte_bpe.KIND, tmp_path)


def test_a_model_without_room_for_the_published_vocabulary_gets_its_own(tmp_path: Path) -> None:
    (tmp_path / "tokenizers" / "bert-base-uncased").mkdir(parents=True)
    assert "trained" in open_tokenizer(wordpiece.KIND, tmp_path, TEXTS, 500).origin
    with pytest.raises(FileNotFoundError, match=r"bert-base-uncased has no vocab\.txt"):
        open_tokenizer(wordpiece.KIND, tmp_path, TEXTS, 30_522)


@settings(max_examples=30)
@given(st.lists(st.text("ab ñ<s>", max_size=12), min_size=1, max_size=6), st.integers(3, 12))
def test_rows_are_what_the_tokenizer_gives_cut_and_counted(texts: list[str], length: int) -> None:
    tokenizer = train_tokenizer(byte_bpe.KIND, [], 261)
    whole = [tokenizer.tokenizer.encode(text).ids for text in texts]
    made, words, cut = rows.encode(tokenizer, texts, length, with_words=True)
    assert rows.encode(tokenizer, texts, length).ids.flat.tolist() == made.flat.tolist()
    assert words is not None
    assert (words.sizes == made.sizes).all()
    assert [len(one) for one in made] == [min(len(one), length) for one in whole]
    assert cut == sum(len(one) > length for one in whole)
    for row, ids in zip(made, whole, strict=True):
        assert row.tolist() == [*ids[: len(row) - 1], tokenizer.special.end]
    padded = rows.pad(list(made), tokenizer.special.pad, length)
    assert padded.shape == (len(texts), length)
    assert (padded != tokenizer.special.pad).sum(axis=1).tolist() == made.sizes.tolist()


@pytest.mark.parametrize("kind", [byte_bpe.KIND, wordpiece.KIND], ids=lambda kind: kind.name)
def test_the_published_files_make_transformers_own_tokens(
    data_root: str, kind: TokenizerKind
) -> None:
    from transformers import BertTokenizer, RobertaTokenizer

    theirs: Any = {"roberta-base": RobertaTokenizer, "bert-base-uncased": BertTokenizer}[kind.name]
    folder = Path(data_root) / "tokenizers" / kind.name
    texts = sst2.read_reviews(sst2.find_split(Path(data_root), "validation")).texts
    expected = theirs.from_pretrained(str(folder))(list(texts))["input_ids"]
    tokenizer = open_tokenizer(kind, Path(data_root), [], kind.published_size)
    assert tokenizer.size == kind.published_size
    assert [row.tolist() for row in rows.encode(tokenizer, texts, 512).ids] == expected
    with pytest.raises(ValueError, match="the model's vocabulary 30000"):
        tokenizer.check_fits(30_000)
