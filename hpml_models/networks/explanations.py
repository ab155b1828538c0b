"""What Self-Explaining RoBERTa says of a sentence: its label, phrases and concepts that decide.

The relevance of a phrase is how much more its own scores say the label than the sentence's do.
The paper writes the opposite sign; measured, deleting a phrase lowers the label's probability the
more, the larger this relevance is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

import torch
from torch import Tensor

from hpml_models.networks.concepts import evaluating
from hpml_models.networks.self_explaining import (
    Parts,
    SelfExplaining,
    is_phrase,
    objective_logits,
)


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """Tokens ``first`` to before ``last``, and how far they speak for the label."""

    first: int
    last: int
    relevance: float


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A sentence of the training set, by its row in the store and its index in the set."""

    row: int
    owner: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A sentence's label, the classes' probabilities, and what speaks for the label."""

    label: int
    probabilities: list[float]
    phrases: list[Phrase]  # most relevant first, the whole sentence left out
    concepts: list[Concept]  # most similar first


@torch.no_grad()
def explain(module: SelfExplaining, *, count: int = 5, **inputs: Tensor) -> list[Explanation]:
    """Explain each sentence of a batch by its ``count`` most relevant phrases."""
    spans_BPT = inputs["spans"]
    with evaluating(module):
        parts = module.parts(**inputs)
    probabilities_BC = predict(objective_logits(parts, spans_BPT, module.head.objective))
    relevances = relevance(parts.phrases, probabilities_BC)
    return [
        Explanation(
            label=int(probabilities_BC[row].argmax()),
            probabilities=probabilities_BC[row].tolist(),
            phrases=ranked(spans_BPT[row], relevances[row], count),
            concepts=_concepts(module, parts, row),
        )
        for row in range(len(spans_BPT))
    ]


def predict(outputs_BLC: Tensor) -> Tensor:
    """Return the classes' probabilities ``[B, C]``, by the first row of logits."""
    return outputs_BLC[:, 0].float().softmax(-1)


def relevance(phrases_BPC: Tensor, probabilities_BC: Tensor) -> Tensor:
    """Return ``[B, P]``: the label's probability by the phrase, less that by the sentence."""
    label_B11 = probabilities_BC.argmax(-1)[:, None, None]
    by_phrase_BPC = phrases_BPC.float().softmax(-1)
    by_phrase_BP = by_phrase_BPC.take_along_dim(label_B11, dim=2).squeeze(2)
    return by_phrase_BP - probabilities_BC.amax(-1, keepdim=True)


def ranked(spans_PT: Tensor, relevance_P: Tensor, count: int) -> list[Phrase]:
    """Return the most relevant phrases; neither the whole sentence, row 0, nor padding rows.

    A sentence of one word has no phrase but itself: the list is empty.
    """
    rows = [row for row in relevance_P.argsort(descending=True).tolist() if row > 0]
    real = [row for row in rows if spans_PT[row].any()]
    return [_phrase(spans_PT[row], float(relevance_P[row])) for row in real[:count]]


def _phrase(span_T: Tensor, relevance_of_it: float) -> Phrase:
    tokens = span_T.nonzero().flatten().tolist()
    return Phrase(first=tokens[0], last=tokens[-1] + 1, relevance=relevance_of_it)


def _concepts(module: SelfExplaining, parts: Parts, row: int) -> list[Concept]:
    nearest = parts.nearest
    owners = module.head.store.owners
    return [
        Concept(row=int(found), owner=int(owners[found]), score=float(score))
        for found, score in zip(nearest.rows[row], nearest.scores[row], strict=True)
    ]


@torch.no_grad()
def deletion_correlation(module: SelfExplaining, padding_id: int, **inputs: Tensor) -> float:
    """Return how the phrases' relevance goes with what deleting each costs, for one sentence.

    It is Pearson's correlation with the drop of the label's probability, the quality of an
    explanation: NaN where there are fewer than two phrases, or all drop alike.
    """
    spans = inputs["spans"]
    count = int(is_phrase(spans).sum()) - 1
    if count < 2:  # noqa: PLR2004  a line through fewer points says nothing
        return nan
    with evaluating(module):
        parts = module.parts(**inputs)
        probabilities = predict(objective_logits(parts, spans, module.head.objective))
        shortened_PC = predict(module(**without_phrases(inputs, padding_id)))
    label = int(probabilities.argmax())
    drops_P = probabilities[0, label] - shortened_PC[:, label]
    relevance_P = relevance(parts.phrases, probabilities)[0, 1 : count + 1]
    return float(torch.corrcoef(torch.stack([relevance_P, drops_P]))[0, 1])


def without_phrases(inputs: Mapping[str, Tensor], padding_id: int) -> dict[str, Tensor]:
    """Return a sentence (a batch of one) once for each phrase but the whole, without that phrase.

    Its only span is what is left of the words.
    """
    spans_PT = inputs["spans"][0]
    spans_PT = spans_PT[is_phrase(spans_PT)][1:].bool()
    words_T = inputs["spans"][0, 0].bool()
    order_PT = spans_PT.int().argsort(dim=1, stable=True)  # deleted tokens go to the end
    ids_PT = inputs["input_ids"].expand_as(spans_PT).masked_fill(spans_PT, padding_id)
    mask_PT = inputs["attention_mask"].bool() & ~spans_PT
    left_PT = words_T & ~spans_PT
    shortened = {
        "input_ids": ids_PT.gather(1, order_PT),
        "attention_mask": mask_PT.gather(1, order_PT),
        "spans": left_PT.gather(1, order_PT).float()[:, None],
    }
    if "owner" in inputs:
        shortened["owner"] = inputs["owner"].expand(len(spans_PT))
    return shortened
