"""Phrases of a sentence as rows of ones over its tokens: what Self-Explaining RoBERTa explains by.

Without a parser at hand the phrases are the nodes of a balanced binary tree over the words: as
many as a binary parse has. P phrases, T tokens.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpml_models.text.rows import Ints

OUTSIDE = -1  # the word of a control token


@cache
def bracketing(words: int) -> NDArray[np.int64]:
    """Return the nodes ``[2 * words - 1, 2]``, from and to in words; the whole sentence first."""
    nodes, waiting = [], [(0, words)] if words else []
    while waiting:
        first, last = waiting.pop()
        nodes.append((first, last))
        if last - first > 1:
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]
    return np.array(nodes, np.int64).reshape(-1, 2)


def phrase_ranges(word_T: Ints) -> NDArray[np.int64]:
    """Return a sentence's phrases ``[P, 2]``, from and to in tokens, given each token's word."""
    tokens = np.flatnonzero(word_T != OUTSIDE)
    if not len(tokens):
        return np.empty((0, 2), np.int64)
    is_first = np.diff(word_T[tokens], prepend=OUTSIDE) != 0
    bounds = np.append(tokens[is_first], tokens[-1] + 1)
    ranges: NDArray[np.int64] = bounds[bracketing(len(bounds) - 1)]
    return ranges


def most_phrases(length: int) -> int:
    """Return how many phrases a sentence of ``length`` tokens has at most, with two of control."""
    return max(1, 2 * (length - 2) - 1)


def span_matrix(words: Sequence[Ints], phrases: int, length: int) -> NDArray[np.float32]:
    """Return the sentences' spans ``[len(words), phrases, length]``; rows of zeros are padding.

    Raise ValueError if a sentence has more phrases than ``phrases``.
    """
    spans = np.zeros((len(words), phrases, length), np.float32)
    places = np.arange(length)
    for index, word_T in enumerate(words):
        ranges = phrase_ranges(word_T)
        if len(ranges) > phrases:
            raise ValueError(f"a sentence has {len(ranges)} phrases: there is room for {phrases}")
        first, last = ranges[:, :1], ranges[:, 1:]
        spans[index, : len(ranges)] = (places >= first) & (places < last)
    return spans
