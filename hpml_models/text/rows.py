"""Rows of numbers of different lengths in one flat array.

Python lists of arrays would be copied page by page into each loading worker, as their reference
counts change; one array is shared.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

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


class Encoded(NamedTuple):
    """Texts as token ids, the word that each token is of (-1 for control tokens), how many cut."""

    ids: Rows
    words: Rows | None
    cut: int


def encode(
    tokenizer: "TextTokenizer", texts: Sequence[str], length: int, *, with_words: bool = False
) -> Encoded:
    """Tokenize texts, control tokens included, each cut to ``length`` tokens."""
    inner = tokenizer.tokenizer
    inner.enable_truncation(length)
    try:
        # The fast one does not note which word a token is of.
        encodings = (inner.encode_batch if with_words else inner.encode_batch_fast)(texts)
    finally:
        inner.no_truncation()
    return Encoded(
        pack([one.ids for one in encodings]),
        pack([_words(one) for one in encodings]) if with_words else None,
        sum(bool(one.overflowing) for one in encodings),
    )


def _words(encoding: "Encoding") -> Sequence[int]:
    return [-1 if word is None else word for word in encoding.word_ids]
