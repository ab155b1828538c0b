"""Phrases of a sentence without a parser: balanced binary bracketing of its words.

Shapes: P phrases, T tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

Range = tuple[int, int]
"""First word or token of a phrase, and the one after its last."""


def bracketing(words: int) -> list[Range]:
    """Return the ``2 * words - 1`` phrases of a balanced binary tree, the whole sentence first.

    Raises ValueError if there is no word.
    """
    if words < 1:
        raise ValueError("an empty sentence has no phrases")
    phrases = [(0, words)]
    for first, last in phrases:  # it grows on the way: level by level
        if last - first > 1:
            middle = (first + last + 1) // 2
            phrases += [(first, middle), (middle, last)]
    return phrases


def span_matrix(ranges: Sequence[Range], phrases: int, tokens: int) -> Tensor:
    """Return ``[phrases, tokens]`` of 0 and 1, a row for each range of tokens, then zero rows."""
    spans = torch.zeros(phrases, tokens)
    for row, (first, last) in enumerate(ranges):
        spans[row, first:last] = 1
    return spans
