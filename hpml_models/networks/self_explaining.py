"""Self-Explaining RoBERTa: a classifier whose phrases and known sentences explain its answer.

D. Rajagopal et al., arXiv 2103.12279, on any encoder. The local layer scores each phrase by how it
differs from its sentence; the global layer scores the sentence together with the concepts that are
most like it.

Shapes: B sentences, T tokens, P phrases, D width, C classes, K nearest concepts,
L rows of logits.
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, relu

from hpml_models.networks.concepts import (
    GLOBAL_HEADS,
    UNKNOWN,
    ConceptStore,
    Nearest,
    Similarity,
    check_sizes,
)
from hpml_models.networks.encoders import LayeredEncoder

JOINT_WEIGHT = 0.1  # of the local and of the global layer's logits: the published recipe's

Objective = Literal["joint", "three"]
"""What is trained: the cross-entropy of the weighted sum of the layers' logits, as the published
code has it; or the sum of the three layers' cross-entropies, as the paper has it."""


class Parts(NamedTuple):
    """What the head finds: logits ``[B, C]``, ``[B, P, C]``, ``[B, C]``, and what was retrieved."""

    classifier: Tensor
    phrases: Tensor
    global_: Tensor
    nearest: Nearest


class LocalLayer(nn.Module):
    """Logits of each phrase, from how it differs from its sentence."""

    def __init__(self, width: int, classes: int) -> None:
        """Make the projection."""
        super().__init__()
        self.project = nn.Linear(width, classes)

    def forward(self, hidden_BTD: Tensor, spans_BPT: Tensor) -> Tensor:
        """Return ``[B, P, C]``."""
        phrases_BPD = phrase_means(hidden_BTD, spans_BPT)
        sentence_B1D = hidden_BTD[:, :1]
        scores: Tensor = self.project(relu(phrases_BPD) - relu(sentence_B1D))
        return scores


class GlobalLayer(nn.Module):
    """Logits of each sentence together with its nearest concepts."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        """Make the attention over a sentence and its concepts, and the projection."""
        super().__init__()
        self.attention = nn.MultiheadAttention(
            width, GLOBAL_HEADS, dropout=dropout, batch_first=True
        )
        self.project = nn.Linear(width, classes)

    def forward(self, sentence_BD: Tensor, concepts_BKD: Tensor) -> Tensor:
        """Return ``[B, C]``: only the sentence's own position is used, so only it is computed."""
        sequence = torch.cat([sentence_BD[:, None], concepts_BKD.to(sentence_BD.dtype)], dim=1)
        mixed, _ = self.attention(sequence[:, :1], sequence, sequence, need_weights=False)
        scores: Tensor = self.project(mixed[:, 0])
        return scores


class SelfExplainingHead(nn.Module):
    """Classifier, local layer and global layer above an encoder."""

    def __init__(  # noqa: PLR0913  the sizes
        self,
        *,
        width: int,
        classes: int,
        concepts: int,
        nearest: int,
        dropout: float,
        objective: Objective = "joint",
        similarity: Similarity = "inner_product",
    ) -> None:
        """Make the three layers and the store. Raises ValueError if the options do not fit."""
        super().__init__()
        if objective not in get_args(Objective):
            raise ValueError(f"objective {objective!r} is none of {', '.join(get_args(Objective))}")
        check_sizes(concepts=concepts, nearest=nearest, width=width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)
        self.local = LocalLayer(width, classes)
        self.global_ = GlobalLayer(width, classes, dropout)
        self.store = ConceptStore(concepts, width, similarity)
        self.objective: Objective = objective
        self._nearest = nearest

    def forward(self, hidden_BTD: Tensor, spans: Tensor, owner: Tensor | None = None) -> Tensor:
        """Return ``[B, L, C]``: see :func:`objective_logits`."""
        return objective_logits(self.parts(hidden_BTD, spans, owner), spans, self.objective)

    def parts(self, hidden_BTD: Tensor, spans_BPT: Tensor, owner_B: Tensor | None = None) -> Parts:
        """Return what each layer finds; without owners no sentence is in the store."""
        sentence_BD = hidden_BTD[:, 0]
        if owner_B is None:
            owner_B = torch.full_like(sentence_BD[:, 0], UNKNOWN, dtype=torch.long)
        nearest = self.store.nearest(sentence_BD.detach(), owner_B, self._nearest)
        dropped_BD = self.dropout(sentence_BD)
        return Parts(
            classifier=self.classifier(dropped_BD),
            phrases=self.local(hidden_BTD, spans_BPT),
            global_=self.global_(dropped_BD, self.store.encodings[nearest.rows]),
            nearest=nearest,
        )


class SelfExplaining(LayeredEncoder):
    """An encoder's layers and a :class:`SelfExplainingHead`, one after the other."""

    @property
    def head(self) -> SelfExplainingHead:
        """The last layer."""
        head = self.layers[-1]
        assert isinstance(head, SelfExplainingHead)  # noqa: S101  it was built so
        return head

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        spans: Tensor,
        owner: Tensor | None = None,
    ) -> Tensor:
        """Return ``[B, L, C]`` of ids and mask ``[B, T]``, spans ``[B, P, T]``, owners ``[B]``.

        See :func:`objective_logits`.
        """
        outputs: Tensor = self.head(self.encode(input_ids, attention_mask), spans, owner)
        return outputs

    def parts(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        spans: Tensor,
        owner: Tensor | None = None,
    ) -> Parts:
        """Return what each layer of the head finds, given the same."""
        return self.head.parts(self.encode(input_ids, attention_mask), spans, owner)

    def sentence_vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the first token's vectors ``[B, D]``: that token is ``<s>``, never padding."""
        return self.encode(input_ids, attention_mask)[:, 0]


def objective_logits(parts: Parts, spans_BPT: Tensor, objective: Objective) -> Tensor:
    """Return the logits ``[B, L, C]`` whose cross-entropies are summed; the first row predicts.

    The joint objective has one row. Three losses have three: the classifier, the logarithm of the
    phrases' mean probability, the global layer.
    """
    if objective == "three":
        local = log_mean_probability(parts.phrases, spans_BPT)
        return torch.stack([parts.classifier, local, parts.global_], dim=1)
    local = mean_over_phrases(parts.phrases, spans_BPT)
    joint = parts.classifier + JOINT_WEIGHT * (local + parts.global_)
    return joint.to(parts.classifier.dtype)[:, None]  # TorchScript's autocast adds in float32


def phrase_means(hidden_BTD: Tensor, spans_BPT: Tensor) -> Tensor:
    """Average the tokens of each phrase ``[B, P, D]``; of a padding row, zeros."""
    spans = spans_BPT.to(hidden_BTD.dtype)
    return spans @ hidden_BTD / spans.sum(-1, keepdim=True).clamp(min=1)


def is_phrase(spans_BPT: Tensor) -> Tensor:
    """Return ``[B, P]``: whether a row is a phrase and not padding."""
    return spans_BPT.sum(-1) > 0


def mean_over_phrases(values_BPC: Tensor, spans_BPT: Tensor) -> Tensor:
    """Average over the real phrases of each sentence ``[B, C]``.

    Autocast sums in float32: the mean has the values' own type again.
    """
    real_BP1 = is_phrase(spans_BPT)[..., None]
    mean_BC = values_BPC.masked_fill(~real_BP1, 0).sum(1) / real_BP1.sum(1).clamp(min=1)
    return mean_BC.to(values_BPC.dtype)


def log_mean_probability(logits_BPC: Tensor, spans_BPT: Tensor) -> Tensor:
    """Return the logarithm ``[B, C]`` of the mean of the real phrases' probabilities."""
    real_BP1 = is_phrase(spans_BPT)[..., None]
    log_probabilities = log_softmax(logits_BPC.float(), dim=-1)
    summed = log_probabilities.masked_fill(~real_BP1, float("-inf")).logsumexp(1)
    return (summed - real_BP1.sum(1).clamp(min=1).log()).to(logits_BPC.dtype)
