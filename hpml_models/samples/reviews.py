"""Classified sentences as token ids, with phrases where a model explains itself by them.

B samples, T tokens, P phrases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hpml_models.samples.base import Key, Samples
from hpml_models.text.phrases import most_phrases, span_matrix
from hpml_models.text.rows import Encoded, Ints, encode, pad
from hpml_models.types import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from hpml_models.text.tokenizer import TextTokenizer

UNKNOWN = -1  # the owner of a sentence that is not in the training set


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """Sentences and their classes."""

    texts: Sequence[str]
    labels: Sequence[int]


class Review(NamedTuple):
    """Token ids, the word that each is of, the class, and which training sentence it is."""

    ids: Ints
    words: Ints | None
    label: int
    owner: int


@dataclass(frozen=True, kw_only=True)
class ReviewFormat:
    """How sentences become batches.

    ``is_ahead``: all are tokenized at once, else each when it is asked for. ``is_padded``: every
    batch is ``length`` long, else as long as its longest sentence. ``has_phrases`` adds ``spans``
    and ``owner`` to the inputs.
    """

    length: int
    has_phrases: bool
    is_ahead: bool
    is_padded: bool


class ReviewSamples(Samples[Review]):
    """Sentences and their classes; longer ones are cut and counted."""

    def __init__(
        self,
        reviews: Reviews,
        owners: Mapping[str, int],
        tokenizer: "TextTokenizer",
        format_: ReviewFormat,
    ) -> None:
        """Take sentences, their classes, and the number of each training sentence."""
        self.texts = texts = reviews.texts
        self._labels = np.array(reviews.labels)
        self._owners = np.array([owners.get(text, UNKNOWN) for text in texts])
        self.tokenizer, self._format = tokenizer, format_
        self._ahead = self._tokenize(texts) if format_.is_ahead else None
        self.facts: Mapping[str, Any] = {
            "rows": len(texts),
            "tokenizer": tokenizer.origin,
            "vocabulary": tokenizer.size,
            "cut_to_length": None if self._ahead is None else self._ahead.cut,
        }

    def __len__(self) -> int:
        """Count the sentences."""
        return len(self.texts)

    def __getitem__(self, key: Key) -> Review:
        """Return a sentence's tokens."""
        index = key.row
        encoded, row = self._ahead, index
        if encoded is None:
            encoded, row = self._tokenize([self.texts[index]]), 0
        words = None if encoded.words is None else encoded.words[row]
        label, owner = int(self._labels[index]), int(self._owners[index])
        return Review(encoded.ids[row], words, label, owner)

    @property
    def sizes(self) -> Sequence[int] | None:
        """The tokens of each sentence, where all have been tokenized."""
        return None if self._ahead is None else self._ahead.ids.sizes.tolist()

    def collate(self, rows: Sequence[Review]) -> Batch:
        """Return ``input_ids``, ``attention_mask`` ``[B, T]`` and ``labels`` ``[B]``."""
        import torch

        longest = max(len(row.ids) for row in rows)
        length = self._format.length if self._format.is_padded else longest
        ids_BT = torch.from_numpy(
            pad([row.ids for row in rows], self.tokenizer.special.pad, length)
        )
        sizes_B = torch.tensor([len(row.ids) for row in rows])
        inputs = {
            "input_ids": ids_BT,
            "attention_mask": (torch.arange(length) < sizes_B[:, None]).long(),
            **(self._explained(rows, length) if self._format.has_phrases else {}),
        }
        labels_B = torch.tensor([row.label for row in rows])
        return Batch(inputs=inputs, targets={"labels": labels_B})

    def concepts(self, words: int, most: int) -> list[int]:
        """Return distinct sentences of at most ``words`` words, the first ``most`` of them."""
        firsts: dict[str, int] = {}
        for index, text in enumerate(self.texts):
            if len(text.split()) <= words:
                firsts.setdefault(text, index)
        return list(firsts.values())[:most]

    def _tokenize(self, texts: Sequence[str]) -> Encoded:
        format_ = self._format
        return encode(self.tokenizer, texts, format_.length, with_words=format_.has_phrases)

    def _explained(self, rows: Sequence[Review], length: int) -> "dict[str, Tensor]":
        import torch

        words = [row.words for row in rows if row.words is not None]
        spans_BPT = span_matrix(words, most_phrases(length), length)
        return {
            "spans": torch.from_numpy(spans_BPT),
            "owner": torch.tensor([row.owner for row in rows]),
        }
