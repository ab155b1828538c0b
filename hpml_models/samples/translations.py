"""Sentence pairs as token ids for an encoder and a decoder.

B samples, S source tokens, T target tokens.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hpml_models.samples.base import Key, Samples
from hpml_models.text.rows import Ints, encode, pad
from hpml_models.types import IGNORED, Batch

if TYPE_CHECKING:
    from hpml_models.text.tokenizer import TextTokenizer


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


class Translation(NamedTuple):
    """Token ids of a sentence and of its translation, control tokens included."""

    source: Ints
    target: Ints


class TranslationSamples(Samples[Translation]):
    """Pairs of sentences, each cut to ``length`` tokens; the decoder is shown what came before."""

    def __init__(self, pairs: Sequence[Pair], tokenizer: "TextTokenizer", length: int) -> None:
        """Tokenize both languages; a target has one token more than the decoder is shown."""
        self.pairs = pairs
        self.tokenizer, self._length = tokenizer, length
        self._sources = encode(tokenizer, [pair.source for pair in pairs], length)
        self._targets = encode(tokenizer, [pair.target for pair in pairs], length + 1)
        self.facts: Mapping[str, Any] = {
            "rows": len(pairs),
            "tokenizer": tokenizer.origin,
            "vocabulary": tokenizer.size,
            "cut_to_length": self._sources.cut + self._targets.cut,
            "unknown_words": sum(
                int((side.ids.flat == tokenizer.special.unknown).sum())
                for side in (self._sources, self._targets)
            ),
        }

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.pairs)

    def __getitem__(self, key: Key) -> Translation:
        """Return a pair's tokens."""
        return Translation(self._sources.ids[key.row], self._targets.ids[key.row])

    @property
    def sizes(self) -> Sequence[int]:
        """The tokens of each source sentence."""
        sizes: list[int] = self._sources.ids.sizes.tolist()
        return sizes

    def collate(self, rows: Sequence[Translation]) -> Batch:
        """Return source ids and mask ``[B, S]``; the target twice ``[B, T]``, one token apart."""
        import torch

        length, pad_id = self._length, self.tokenizer.special.pad
        source_BS = torch.from_numpy(pad([row.source for row in rows], pad_id, length))
        sizes_B1 = torch.tensor([[len(row.source)] for row in rows])
        shown_BT = pad([row.target[:-1] for row in rows], pad_id, length)
        labels_BT = pad([row.target[1:] for row in rows], IGNORED, length)
        inputs = {
            "input_ids": source_BS,
            "attention_mask": (torch.arange(length) < sizes_B1).long(),
            "decoder_input_ids": torch.from_numpy(shown_BT),
        }
        return Batch(inputs=inputs, targets={"labels": torch.from_numpy(labels_BT)})
