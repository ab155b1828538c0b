"""Rows of numbers of different lengths in one flat array.

Python lists of arrays would be copied page by page into each loading worker, as their reference
counts change; one array is shared.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding

    from hpml_models.text.tokenizer import TextTokenizer

Ints = NDArray[np.int32]


class Rows:
    """Rows of int32 as one array and where each row begins."""

    def __init__(self, flat: Ints, sizes: NDArray[np.int64]) -> None:
        """Cut ``flat`` into rows of ``sizes``."""
        self.flat = flat
        self.begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.begins) - 1

    def __getitem__(self, index: int) -> Ints:
        """Return a row: a view."""
        return self.flat[self.begins[index] : self.begins[index + 1]]

    def __iter__(self) -> Iterator[Ints]:
        """Yield the rows in order."""
        return (self[index] for index in range(len(self)))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The length of each row."""
        return np.diff(self.begins)


def pack(rows: Sequence[Sequence[int]]) -> Rows:
    """Put rows of numbers into one array."""
    sizes = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    flat = np.fromiter(chain.from_iterable(rows), np.int32, int(sizes.sum()))
    return Rows(flat, sizes)


def pad(rows: Sequence[Ints], value: int, length: int | None = None) -> NDArray[np.int64]:
    """Return rows as one matrix ``[len(rows), length]``; by default as long as the longest row."""
    longest = max(len(row) for row in rows)
    padded = np.full((len(rows), longest if length is None else length), value, np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded


def encode(tokenizer: "TextTokenizer", texts: Iterable[str], length: int) -> tuple[Rows, int]:
    """Tokenize texts, control tokens included; return rows and how many were cut to ``length``."""
    encodings = encodings_of(tokenizer, texts, length, with_words=False)
    return pack([one.ids for one in encodings]), sum(bool(one.overflowing) for one in encodings)


def encodings_of(
    tokenizer: "TextTokenizer", texts: Iterable[str], length: int, *, with_words: bool
) -> "list[Encoding]":
    """Tokenize texts, each cut to ``length`` tokens; ``with_words`` also by word and place."""
    inner = tokenizer.tokenizer
    inner.enable_truncation(length)
    try:
        return (inner.encode_batch if with_words else inner.encode_batch_fast)(list(texts))
    finally:
        inner.no_truncation()


def word_rows(encodings: "Sequence[Encoding]") -> Rows:
    """Return the word that each token is of; -1 for control tokens."""
    return pack([[-1 if word is None else word for word in one.word_ids] for one in encodings])
