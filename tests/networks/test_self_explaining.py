"""Self-Explaining RoBERTa has no reference but its definition: eight properties, and their traps.

Each trap is planted at the end of the file, and the property that is named beside it must fail.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from math import exp, isnan, log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hpml_models.networks import concepts, explanations, roberta, self_explaining
from hpml_models.networks.explanations import deletion_correlation, explain
from hpml_models.networks.losses import summed_cross_entropy
from hpml_models.networks.self_explaining import SelfExplaining
from hpml_models.text.phrases import OUTSIDE, most_phrases, span_matrix

WIDTH, WORDS, CLASSES = 16, 50, 3
FIRST_WORD = roberta.RESERVED
Sentences = Sequence[Sequence[int]]

SENTENCES = st.lists(
    st.lists(st.integers(FIRST_WORD, WORDS - 1), min_size=1, max_size=9), min_size=1, max_size=5
)


def build(
    *, dropout: float = 0.1, objective: str = "joint", similarity: str = "inner_product"
) -> SelfExplaining:
    torch.manual_seed(0)
    return roberta.self_explaining(
        labels=CLASSES,
        checkpoint="",
        concepts=12,
        nearest=3,
        head_dropout=dropout,
        objective=objective,
        similarity=similarity,
        vocabulary=WORDS,
        width=WIDTH,
        heads=2,
        layers=1,
        length=32,
        positions=32,
        dropout=dropout,
    )


def batch_of(sentences: Sentences, *, tokens: int = 0, phrases: int = 0) -> dict[str, Any]:
    """Pad sentences of word ids to the longest, or to more."""
    tokens = max(tokens, 2 + max(map(len, sentences)))
    ids = torch.full((len(sentences), tokens), roberta.PADDING)
    for row, words in enumerate(sentences):
        sequence = [roberta.BEGIN, *words, roberta.END]
        ids[row, : len(sequence)] = torch.tensor(sequence)
    places = [np.array([OUTSIDE, *range(len(words)), OUTSIDE]) for words in sentences]
    phrases = max(phrases, *(most_phrases(len(one)) for one in places), 1)
    spans = torch.from_numpy(span_matrix(places, phrases, tokens))
    return {"input_ids": ids, "attention_mask": ids != roberta.PADDING, "spans": spans}


def outputs_of(module: SelfExplaining, sentences: Sentences, **padding: int) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = module.eval()(**batch_of(sentences, **padding))
    return outputs


@settings(max_examples=10)
@given(SENTENCES)
def test_a_sentence_has_the_same_outputs_alone_and_in_any_batch(sentences: Sentences) -> None:
    check_alone(build(), sentences)


def check_alone(module: SelfExplaining, sentences: Sentences) -> None:
    together = outputs_of(module, sentences)
    backwards = outputs_of(module, sentences[::-1]).flip(0)
    alone = torch.cat([outputs_of(module, [words]) for words in sentences])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)
    torch.testing.assert_close(together, backwards, rtol=0, atol=2e-5)


@settings(max_examples=10)
@given(SENTENCES)
def test_padding_changes_nothing(sentences: Sentences) -> None:
    check_padding(build(), sentences)


def check_padding(module: SelfExplaining, sentences: Sentences) -> None:
    exact = batch_of(sentences)
    tokens, phrases = exact["input_ids"].shape[1], exact["spans"].shape[1]
    padded = outputs_of(module, sentences, tokens=tokens + 4, phrases=phrases + 3)
    torch.testing.assert_close(padded, outputs_of(module, sentences), rtol=0, atol=2e-5)


def test_what_stands_in_padding_positions_changes_nothing() -> None:
    """The mask decides, and not the token; RoBERTa counts positions from the tokens before."""
    module = build().eval()
    inputs = batch_of([[7, 8], [9, 10, 11, 12]])
    other = inputs | {"input_ids": inputs["input_ids"].masked_fill(~inputs["attention_mask"], 33)}
    torch.testing.assert_close(module(**inputs), module(**other), rtol=0, atol=2e-5)


class ConstantBlock(nn.Module):
    """In place of an encoder: the same vector, some of it negative, at every token."""

    def forward(self, hidden_BTD: Tensor, _: Tensor) -> Tensor:
        return torch.linspace(-1, 1, WIDTH).expand_as(hidden_BTD)


def test_a_phrase_that_does_not_differ_from_its_sentence_scores_the_bias() -> None:
    check_constant(build())


def check_constant(module: SelfExplaining) -> None:
    module.layers[1] = ConstantBlock()
    inputs = batch_of([[5, 6, 7, 8], [9]])
    scores = module.eval().parts(**inputs).phrases
    real = scores[inputs["spans"].any(-1)]
    torch.testing.assert_close(real, module.head.local.project.bias.expand_as(real))


@pytest.mark.parametrize("objective", ["joint", "three"])
def test_every_parameter_learns_and_the_store_does_not(objective: str) -> None:
    check_gradients(build(objective=objective))


def check_gradients(module: SelfExplaining) -> None:
    before = module.head.store.encodings.clone()
    inputs = batch_of([[5, 6, 7, 8], [9, 10]])
    summed_cross_entropy(module(**inputs), {"labels": torch.tensor([0, 2])}).backward()  # type: ignore[no-untyped-call]  # torch's own gap
    torch.optim.AdamW(module.parameters()).step()
    assert [name for name, one in module.named_parameters() if one.grad is None] == []
    assert not [name for name, _ in module.named_parameters() if "store" in name]
    assert torch.equal(module.head.store.encodings, before)


@pytest.mark.parametrize("similarity", ["inner_product", "cosine"])
def test_retrieval_is_brute_force_without_the_sentence_itself(similarity: str) -> None:
    check_retrieval(build(similarity=similarity), similarity)


def check_retrieval(module: SelfExplaining, similarity: str) -> None:
    store = module.head.store
    sentences_BD = torch.stack([store.encodings[4], store.encodings[7], torch.ones(WIDTH)])
    found = store.nearest(sentences_BD, torch.tensor([4, -1, 0]), 3)
    assert found.rows.tolist() == [
        brute_force(sentences_BD[row], store, own, similarity) for row, own in enumerate([4, -1, 0])
    ]
    assert store.distinct_share(found) == len(set(found.rows.flatten().tolist())) / 9


def brute_force(
    sentence: Tensor, store: concepts.ConceptStore, own: int, similarity: str
) -> list[int]:
    def score(row: int) -> float:
        one = store.encodings[row]
        dot = float((one.double() * sentence.double()).sum())
        return dot / float(one.norm()) if similarity == "cosine" else dot

    others = [row for row in range(len(store.owners)) if row != own]
    return sorted(others, key=score, reverse=True)[:3]


@pytest.mark.parametrize("objective", ["joint", "three"])
def test_both_objectives_equal_a_loop_over_sentences(objective: str) -> None:
    check_losses(build(objective=objective))


def check_losses(module: SelfExplaining) -> None:
    inputs, labels = batch_of([[5, 6, 7, 8], [9]]), [2, 0]
    with torch.no_grad():
        module.head.local.project.weight.mul_(20)  # the mean of logits is no mean of probabilities
        found, outputs = module.eval().parts(**inputs), module(**inputs)
    one_by_one = []
    for row, label in enumerate(labels):
        count = int(inputs["spans"][row].any(-1).sum())
        phrases = [one.tolist() for one in found.phrases[row][:count]]
        own, rest = found.classifier[row].tolist(), found.global_[row].tolist()
        if module.head.objective == "joint":
            mean = [sum(one[c] for one in phrases) / count for c in range(CLASSES)]
            logits = [a + 0.1 * b + 0.1 * c for a, b, c in zip(own, mean, rest, strict=True)]
            one_by_one.append(cross_entropy(logits, label))
        else:
            local = -log(sum(probability(one, label) for one in phrases) / count)
            one_by_one.append(cross_entropy(own, label) + local + cross_entropy(rest, label))
    loss = summed_cross_entropy(outputs, {"labels": torch.tensor(labels)})
    assert float(loss) == pytest.approx(sum(one_by_one) / 2, rel=1e-5)


def probability(logits: list[float], label: int) -> float:
    return exp(logits[label]) / sum(map(exp, logits))


def cross_entropy(logits: list[float], label: int) -> float:
    return -log(probability(logits, label))


DECISIVE = 40  # the word that says class 1


def decided_by_one_word() -> SelfExplaining:
    """Set weights by hand: no context, and one word's vector says class 1."""
    module = build(dropout=0, objective="three")
    module.layers = nn.ModuleList([module.layers[0], module.head])
    module.layers[0] = OneHotWord()
    with torch.no_grad():
        for one in module.parameters():
            one.zero_()
        module.head.local.project.weight[1, 0] = 0.5
        module.head.classifier.bias[1] = 1.0
    return module


class OneHotWord(nn.Module):
    """In place of embeddings: 8 in the first place for the decisive word, else -1."""

    def forward(self, input_ids: Tensor, _: None) -> Tensor:
        hidden = torch.zeros(*input_ids.shape, WIDTH)
        hidden[..., 0] = torch.where(input_ids == DECISIVE, 8.0, -1.0)
        return hidden


def test_the_phrase_of_the_decisive_word_comes_first() -> None:
    check_relevance(decided_by_one_word())


def check_relevance(module: SelfExplaining) -> None:
    (found,) = explain(module, **batch_of([[5, 6, DECISIVE, 8, 9]]), count=9)
    assert found.label == 1
    best = found.phrases[0]
    assert (best.first, best.last) == (3, 4)  # behind <s>
    expected = probability([0, 4, 0], 1) - probability([0, 1, 0], 1)
    assert best.relevance == pytest.approx(expected, abs=1e-6)
    assert len(found.phrases) == 8  # of nine rows; the whole sentence is no phrase to report
    assert found.phrases[-1].relevance == pytest.approx(1 / 3 - probability([0, 1, 0], 1))


def test_deleting_the_relevant_phrases_lowers_the_probability() -> None:
    module = decided_by_one_word()
    module.head.objective = "joint"  # the classifier alone says the same of every sentence
    inputs = batch_of([[5, 6, DECISIVE, 8, 9]])
    assert deletion_correlation(module, roberta.PADDING, **inputs) > 0.5


def test_a_sentence_of_one_word_has_no_phrase_to_report() -> None:
    module = build()
    inputs = batch_of([[5]])
    assert explain(module, **inputs)[0].phrases == []
    assert isnan(deletion_correlation(module, roberta.PADDING, **inputs))


def test_concepts_are_those_of_the_store_most_similar_first() -> None:
    (found,) = explain(build(), **batch_of([[5, 6]]), owner=torch.tensor([2]))
    assert len(found.concepts) == 3
    assert 2 not in [one.owner for one in found.concepts]
    scores = [one.score for one in found.concepts]
    assert scores == sorted(scores, reverse=True)


KNOWN = [[5 + one, 20 + one % 3, 30][: 1 + one % 3] for one in range(12)]


def encoder_inputs(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def refreshed(module: SelfExplaining, order: Sequence[int], batch: int = 5) -> Tensor:
    chunks = [order[first : first + batch] for first in range(0, len(order), batch)]
    batches = [
        (encoder_inputs(batch_of([KNOWN[one] for one in chunk])), torch.tensor(chunk))
        for chunk in chunks
    ]
    concepts.refresh(module, module.head.store, module.sentence_vectors, batches)
    return module.head.store.encodings.clone()


def test_a_refresh_gives_the_same_store_in_any_order_and_leaves_no_trace() -> None:
    check_refresh(build())


def check_refresh(module: SelfExplaining) -> None:
    module.train()
    module.head.dropout.eval()  # as a caller may have it
    modes, state = [one.training for one in module.modules()], torch.get_rng_state()
    first = refreshed(module, range(12))
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [one.training for one in module.modules()]
    torch.testing.assert_close(refreshed(module, range(11, -1, -1)), first, rtol=0, atol=2e-5)
    module.eval()
    for row, words in enumerate(KNOWN):
        alone = module.sentence_vectors(**encoder_inputs(batch_of([words])))[0]
        torch.testing.assert_close(first[row], alone, rtol=0, atol=2e-5)


def test_a_store_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"11 sentences for a store of 12 .*concepts=11"):
        refreshed(build(), range(11))


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(ValueError, match="'both' is none of joint, three"):
        build(objective="both")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"concepts": 5, "nearest": 5, "width": 16}, "at least 6 concepts"),
        ({"concepts": 9, "nearest": 5, "width": 20}, "20 is not a multiple of the 8"),
    ],
)
def test_sizes_that_cannot_work_are_refused_before_training(
    sizes: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        concepts.check_sizes(**sizes)


Plant = Callable[[SelfExplaining, pytest.MonkeyPatch], object]
Check = Callable[[SelfExplaining], None]
UNEQUAL: Sentences = [[5, 6, 7, 8], [9], [10, 11]]


def hidden_seen_as(change: Callable[[Tensor], Tensor]) -> Plant:
    """Let the head see the encoder's output changed."""

    def plant(module: SelfExplaining, patch: pytest.MonkeyPatch) -> None:
        parts = module.head.parts
        patch.setattr(module.head, "parts", lambda hidden, *rest: parts(change(hidden), *rest))

    return plant


def instead(target: object, name: str, wrong: object) -> Plant:
    return lambda _, patch: patch.setattr(target, name, wrong)


def last_as_first(hidden: Tensor) -> Tensor:
    return torch.cat([hidden[:, -1:], hidden[:, 1:]], dim=1)


def without_mask(module: SelfExplaining, patch: pytest.MonkeyPatch) -> None:
    layers: Any = module.layers
    block = layers[1]
    patch.setattr(block, "forward", lambda hidden, _: block.block(hidden, None))


def one_sided(self: self_explaining.LocalLayer, hidden: Tensor, spans: Tensor) -> Tensor:
    phrases = self_explaining.phrase_means(hidden, spans)
    scores: Tensor = self.project(phrases.relu() - hidden[:, :1])
    return scores


def across_the_batch(
    self: self_explaining.GlobalLayer, sentence: Tensor, concepts: Tensor
) -> Tensor:
    sequence = torch.cat([sentence[:, None], concepts], dim=1)
    self.attention.batch_first = False
    mixed, _ = self.attention(sequence, sequence, sequence)
    scores: Tensor = self.project(mixed[:, 0])
    return scores


def trainable_store(module: SelfExplaining, _: object) -> None:
    store = module.head.store
    encodings = store.encodings
    del store.encodings
    store.register_parameter("encodings", nn.Parameter(encodings))


RELEVANCE = explanations.relevance


def negated_relevance(*parts: Tensor) -> Tensor:
    return -RELEVANCE(*parts)


NETWORK = self_explaining
FAULTS: dict[str, tuple[Plant, Check]] = {
    "the last position is the sentence vector": (
        hidden_seen_as(last_as_first),
        partial(check_padding, sentences=UNEQUAL),
    ),
    "attention runs across the batch": (
        instead(NETWORK.GlobalLayer, "forward", across_the_batch),
        partial(check_alone, sentences=UNEQUAL[:2]),
    ),
    "no attention mask": (without_mask, partial(check_padding, sentences=UNEQUAL)),
    "dropout is left on": (
        lambda module, patch: (
            patch.setattr(module.head.dropout, "eval", lambda: None)
            or patch.setattr(module.head.dropout, "train", lambda _: module.head.dropout)
        ),
        partial(check_alone, sentences=UNEQUAL),
    ),
    "phrases are divided by all positions": (
        instead(NETWORK, "phrase_means", lambda h, spans: spans @ h / h.shape[1]),
        check_constant,
    ),
    "phrases are summed": (
        instead(NETWORK, "phrase_means", lambda h, spans: spans @ h),
        check_constant,
    ),
    "ReLU on one side": (instead(NETWORK.LocalLayer, "forward", one_sided), check_constant),
    "padding rows count": (
        instead(NETWORK, "mean_over_phrases", lambda values, _: values.mean(1)),
        partial(check_padding, sentences=UNEQUAL),
    ),
    "logits are averaged in place of probabilities": (
        instead(
            NETWORK,
            "log_mean_probability",
            lambda logits, spans: NETWORK.mean_over_phrases(logits, spans).log_softmax(-1),
        ),
        check_losses,
    ),
    "the store learns": (trainable_store, check_gradients),
    "a pooler that nothing uses": (
        lambda module, _: module.add_module("pooler", nn.Linear(WIDTH, WIDTH)),
        check_gradients,
    ),
    "a sentence finds itself": (
        instead(concepts, "UNKNOWN", 4),
        partial(check_retrieval, similarity="inner_product"),
    ),
    "relevance has the wrong sign": (
        instead(explanations, "relevance", negated_relevance),
        check_relevance,
    ),
    "spans are one token off": (hidden_seen_as(lambda h: h.roll(1, dims=1)), check_relevance),
    "the store is filled in training mode": (
        instead(concepts, "evaluating", nullcontext),
        check_refresh,
    ),
    "a refresh leaves evaluation mode on": (
        instead(concepts, "evaluating", lambda module: nullcontext(module.eval())),
        check_refresh,
    ),
    "the store is filled from the last position": (
        lambda module, patch: patch.setattr(
            module, "sentence_vectors", lambda **inputs: module.encode(**inputs)[:, -1]
        ),
        check_refresh,
    ),
}


@pytest.mark.parametrize(("plant", "check"), FAULTS.values(), ids=FAULTS)
def test_each_trap_is_noticed(plant: Plant, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def healthy() -> SelfExplaining:
        if check is check_relevance:
            return decided_by_one_word()
        return build(objective="three" if check is check_losses else "joint")

    check(healthy())
    module = healthy()
    plant(module, monkeypatch)
    with pytest.raises(AssertionError):
        check(module)
