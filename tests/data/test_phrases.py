"""Phrases: contiguous runs of whole words, the whole sentence first, padding rows empty."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpml_models.text import byte_bpe
from hpml_models.text.phrases import (
    bracketing,
    most_phrases,
    phrase_ranges,
    span_matrix,
)
from hpml_models.text.rows import encode
from hpml_models.text.tokenizer import train_tokenizer

# Tokens of each word of a sentence.
SENTENCES = st.lists(st.integers(1, 4), min_size=0, max_size=20)


def word_of_tokens(sizes: list[int]) -> np.ndarray:
    words = [word for word, size in enumerate(sizes) for _ in range(size)]
    return np.array([-1, *words, -1], np.int32)


@given(st.integers(1, 60))
def test_phrases_are_a_binary_tree(words: int) -> None:
    nodes = bracketing(words).tolist()
    assert nodes[0] == [0, words]
    assert len(nodes) == len({*map(tuple, nodes)}) == 2 * words - 1
    assert {(index, index + 1) for index in range(words)} <= set(map(tuple, nodes))
    for first, last in nodes:
        inner = [node for node in nodes if first <= node[0] and node[1] <= last]
        assert len(inner) == 2 * (last - first) - 1, "phrases nest or are apart"


@given(st.lists(SENTENCES, min_size=1, max_size=4))
def test_spans_are_runs_of_whole_words(sentences: list[list[int]]) -> None:
    words = [word_of_tokens(sizes) for sizes in sentences]
    length = max(map(len, words)) + 3
    phrases = most_phrases(length)
    spans = span_matrix(words, phrases, length)
    assert spans.shape == (len(words), phrases, length)
    for sizes, word_T, span_PT in zip(sentences, words, spans, strict=True):
        real = span_PT.any(axis=1)
        assert real.sum() == max(0, 2 * len(sizes) - 1)
        assert real[: real.sum()].all(), "padding rows come last"
        assert (span_PT[0, : len(word_T)] == (word_T >= 0)).all() or not sizes
        for row in span_PT[real]:
            tokens = np.flatnonzero(row)
            assert (np.diff(tokens) == 1).all()
            inside = set(word_T[tokens])
            assert [t for t in range(len(word_T)) if word_T[t] in inside] == tokens.tolist()


def test_a_sentence_of_one_word_has_the_root_alone_and_an_empty_one_nothing() -> None:
    assert phrase_ranges(word_of_tokens([3])).tolist() == [[1, 4]]
    assert phrase_ranges(word_of_tokens([])).shape == (0, 2)


def test_more_phrases_than_there_is_room_for_are_an_error() -> None:
    with pytest.raises(ValueError, match="has 5 phrases: there is room for 4"):
        span_matrix([word_of_tokens([1, 1, 1])], 4, 5)


@given(st.lists(st.sampled_from(["deep", "don't", "ñandú", "b2b", "über-lang", "!"]), min_size=1))
def test_the_tokens_of_a_phrase_are_its_text(words: list[str]) -> None:
    text = " ".join(words)
    tokenizer = train_tokenizer(byte_bpe.KIND, [], 261)
    encoding = tokenizer.tokenizer.encode(text)
    rows = encode(tokenizer, [text], 60, with_words=True).words
    assert rows is not None
    (word_T,) = rows
    for first, last in phrase_ranges(word_T):
        begin, end = encoding.offsets[first][0], encoding.offsets[last - 1][1]
        decoded = tokenizer.tokenizer.decode(encoding.ids[first:last]).strip()
        assert text[begin:end].strip() == decoded or "\ufffd" in decoded
