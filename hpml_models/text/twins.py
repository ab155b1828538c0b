"""Synthetic batches with the shapes, ids and lengths of the real data sets: nothing to download.

Lengths are drawn between quantiles of the real ones, ids as words are (the n-th most frequent 1/n
as often as the first, G. Zipf), so that padding and repeated words are as usual. What is learned
from them means nothing. B samples, T tokens.
"""

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

from hpml_models.text.tokenizer import SpecialIds
from hpml_models.types import IGNORED, Batch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROBERTA = SpecialIds(pad=1, start=0, end=2, unknown=3)
BERT = SpecialIds(pad=0, start=2, end=3, unknown=1)
WORDS = SpecialIds(pad=0, start=1, end=2, unknown=3)
FIRST_WORD = 5  # ids below are control tokens

# Quantiles in steps of 5 %, in tokens, control tokens included: SST-2 by RoBERTa's tokenizer;
# SQuAD's questions and contexts by BERT's, without control tokens; spa-eng's two sides in words.
# fmt: off
REVIEW_LENGTHS = (3, 4, 5, 5, 6, 6, 7, 8, 8, 9, 10, 11, 13, 14, 16, 18, 20, 23, 27, 33, 66)
QUESTION_LENGTHS = (5, 6, 7, 8, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 14, 15, 15, 16, 18, 21, 38)
CONTEXT_LENGTHS = (30, 62, 69, 82, 99, 107, 113, 118, 122, 129, 135, 140, 149, 155, 162, 172, 190,
                   194, 207, 241, 378)
ENGLISH_LENGTHS = (4, 5, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 9, 12)
SPANISH_LENGTHS = (4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 8, 8, 12)
# fmt: on
ANSWERABLE_SHARE = 0.5
LONGEST_ANSWER = 6


def reviews(
    batch: int,
    generator: "torch.Generator",
    *,
    vocabulary: int,
    length: int,
    classes: int = 2,
) -> Batch:
    """Make classified sentences as SST-2's."""
    import torch

    sizes_B = _lengths(batch, generator, REVIEW_LENGTHS, length)
    inputs = _framed(sizes_B, generator, vocabulary, length, ROBERTA)
    labels_B = torch.randint(classes, (batch,), generator=generator)
    return Batch(inputs=inputs, targets={"labels": labels_B})


def with_phrases(batch: Batch) -> Batch:
    """Return reviews with their ``spans``, each token a word, and ``owner``: of no training set."""
    import torch

    mask_BT = batch.inputs["attention_mask"]
    sizes_B = mask_BT.sum(dim=1)
    inputs = {
        **batch.inputs,
        "spans": _spans(sizes_B, mask_BT.shape[1]),
        "owner": torch.full_like(sizes_B, -1),
    }
    return Batch(inputs=inputs, targets=batch.targets)


def questions(batch: int, generator: "torch.Generator", *, vocabulary: int, length: int) -> Batch:
    """Make windows as SQuAD's: question and context, half of them without an answer."""
    import torch

    asked_B = _lengths(batch, generator, QUESTION_LENGTHS, length // 3)
    sizes_B = (asked_B + 3 + _lengths(batch, generator, CONTEXT_LENGTHS, length)).clamp(max=length)
    inputs = _framed(sizes_B, generator, vocabulary, length, BERT)
    places_T, context_B1 = torch.arange(length), asked_B[:, None] + 2
    inputs["input_ids"][places_T == context_B1 - 1] = BERT.end
    inputs["token_type_ids"] = inputs["attention_mask"] * (places_T >= context_B1)
    room_B = sizes_B - 1 - context_B1[:, 0]
    start_B = context_B1[:, 0] + _below(room_B, generator)
    more_B = torch.randint(LONGEST_ANSWER, (batch,), generator=generator)
    end_B = torch.minimum(start_B + more_B, sizes_B - 2)
    is_answerable_B = torch.rand(batch, generator=generator) < ANSWERABLE_SHARE
    targets = {
        "start_positions": start_B.where(is_answerable_B, 0),
        "end_positions": end_B.where(is_answerable_B, 0),
    }
    return Batch(inputs=inputs, targets=targets)


def translations(
    batch: int, generator: "torch.Generator", *, vocabulary: int, length: int
) -> Batch:
    """Make pairs as spa-eng's: a source, and a target that the decoder is shown a token late."""
    source_B = _lengths(batch, generator, ENGLISH_LENGTHS, length)
    inputs = _framed(source_B, generator, vocabulary, length, WORDS)
    target_B = _lengths(batch, generator, SPANISH_LENGTHS, length + 1)
    target = _framed(target_B, generator, vocabulary, length + 1, WORDS)
    is_label_BT = target["attention_mask"][:, 1:].bool()
    ids_BT = target["input_ids"]
    inputs["decoder_input_ids"] = ids_BT[:, :-1].where(is_label_BT, WORDS.pad)
    return Batch(inputs=inputs, targets={"labels": ids_BT[:, 1:].where(is_label_BT, IGNORED)})


def _lengths(
    batch: int, generator: "torch.Generator", quantiles: Sequence[int], most: int
) -> "Tensor":
    """Draw lengths: each part of the distribution as often, evenly between its ends."""
    import torch

    bounds = torch.tensor(quantiles, dtype=torch.float)
    step_B = torch.randint(len(quantiles) - 1, (batch,), generator=generator)
    part_B = torch.rand(batch, generator=generator)
    lengths_B = bounds[step_B] + part_B * (bounds[step_B + 1] - bounds[step_B])
    return lengths_B.round().long().clamp(max=most)


def _framed(
    sizes_B: "Tensor",
    generator: "torch.Generator",
    vocabulary: int,
    length: int,
    special: SpecialIds,
) -> "dict[str, Tensor]":
    """Draw words between a start and an end token, then padding."""
    import torch

    words = vocabulary - FIRST_WORD
    rank_BT = torch.exp(torch.rand(len(sizes_B), length, generator=generator) * log(words))
    ids_BT = FIRST_WORD + rank_BT.long().clamp(max=words) - 1
    places_T, sizes_B1 = torch.arange(length), sizes_B[:, None]
    ids_BT[:, 0] = special.start
    ids_BT[places_T == sizes_B1 - 1] = special.end
    mask_BT = places_T < sizes_B1
    return {
        "input_ids": ids_BT.where(mask_BT, special.pad),
        "attention_mask": mask_BT.long(),
    }


def _spans(sizes_B: "Tensor", length: int) -> "Tensor":
    """Return the phrases of sentences whose words are one token each."""
    import numpy as np
    import torch

    from hpml_models.text.phrases import most_phrases, span_matrix

    words = [np.array([-1, *range(size - 2), -1], np.int32) for size in sizes_B.tolist()]
    return torch.from_numpy(span_matrix(words, most_phrases(length), length))


def _below(bounds_B: "Tensor", generator: "torch.Generator") -> "Tensor":
    """Draw a whole number from 0 to below each bound."""
    import torch

    return (torch.rand(len(bounds_B), generator=generator) * bounds_B).long()
