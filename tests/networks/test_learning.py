"""Each model learns at the size of ``tiny``, on the real samples, in plain PyTorch.

The recipes are made for the tests: a published recipe takes hours. Run with ``-m nightly
--data-root``; each target is a stated distance below what was measured with other seeds.
"""

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from bare_loop import Pair, Tensors, bucketed, shuffled, train
from torch import nn

from hpml_models.cases import registry
from hpml_models.data import spa_eng, squad
from hpml_models.networks import concepts, roberta
from hpml_models.networks.explanations import deletion_correlation, explain
from hpml_models.quality.answers import predict_answers
from hpml_models.quality.classification import correct
from hpml_models.quality.decoding import greedy
from hpml_models.quality.squad import evaluate
from hpml_models.samples.base import Key, Samples
from hpml_models.samples.question_windows import QuestionSamples, QuestionSet
from hpml_models.samples.translations import TranslationSamples
from hpml_models.text import wordpiece, words
from hpml_models.text.tokenizer import train_tokenizer

pytestmark = pytest.mark.nightly
MODELS = registry.models()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute on one thread: the same sums on every machine, and tests beside each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(model: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[model].build(**{**MODELS[model].presets["tiny"].options, **options})


@cache
def opened(model: str, root: str, split: str) -> Any:
    spec = MODELS[model]
    options = {**spec.presets["tiny"].options, "is_padded": False}
    return registry.data_sets()[str(spec.data)].open(Path(root), split, **options)


def pair_of(samples: Samples[Any], rows: Sequence[int]) -> Pair:
    batch = samples.collate([samples[Key(row)] for row in rows])
    return dict(batch.inputs), dict(batch.targets)


def accuracy(module: nn.Module, samples: Samples[Any]) -> float:
    """Return the share of all rows whose class is right, in evaluation mode."""
    scores, labels = [], []
    order = np.argsort(samples.sizes).tolist() if samples.sizes else range(len(samples))
    with torch.no_grad():
        for first in range(0, len(order), 64):
            inputs, targets = pair_of(samples, order[first : first + 64])
            outputs = module.eval()(**inputs)
            scores.append(outputs[:, 0] if outputs.ndim > 2 else outputs)
            labels.append(targets["labels"])
    return correct(torch.cat(scores).numpy(), torch.cat(labels).numpy()).mean


@pytest.mark.parametrize("model", ["roberta_base"])
def test_a_classifier_learns_sentiment(model: str, data_root: str) -> None:
    """Measured with two seeds: 0.764 and 0.758; the majority has 0.509."""
    samples = opened(model, data_root, "train")
    module = build(model, dropout=0.1)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    batches = bucketed(samples.sizes, 64, partial(pair_of, samples))
    loss = MODELS[model].recipe.loss
    train(module, batches, loss, optimizer, steps=200, warm_up=100, decay=True)
    assert accuracy(module, opened(model, data_root, "validation")) >= 0.70


@pytest.mark.parametrize("objective", ["joint", "three"])
def test_self_explaining_roberta_learns_and_explains(objective: str, data_root: str) -> None:
    """Measured in eight runs: 0.783 to 0.803; correlations of 0.29 to 0.52."""
    model = "self_explaining_roberta"
    samples, held_out = (opened(model, data_root, split) for split in ("train", "validation"))
    known = samples.concepts(5, 2000)
    module: Any = build(
        model, dropout=0.1, head_dropout=0.2, objective=objective, concepts=len(known)
    )

    def refresh() -> None:
        parts = [known[first : first + 100] for first in range(0, len(known), 100)]
        pairs = ((pair_of(samples, part)[0], torch.tensor(part)) for part in parts)
        names = ("input_ids", "attention_mask")
        encoded = (({name: inputs[name] for name in names}, own) for inputs, own in pairs)
        concepts.refresh(module, module.head.store, module.sentence_vectors, encoded)

    batches = bucketed(samples.sizes, 64, partial(pair_of, samples))
    loss = MODELS[model].recipe.loss
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    losses = train(
        module, batches, loss, optimizer, steps=350, warm_up=100, decay=True, clip_norm=1
    )
    refresh()
    assert fmean(losses[-20:]) < (2 / 3 if objective == "three" else 0.8) * fmean(losses[:20])
    assert accuracy(module, held_out) >= 0.75
    found = [
        deletion_correlation(module, roberta.PADDING, **pair_of(held_out, [row])[0])
        for row in range(60)
    ]
    assert np.nanmean(found) > 0.2


def test_a_planted_words_phrase_comes_first() -> None:
    """Train on sentences whose class one of two words decides, and look for that word.

    It is no law: with other seeds and sizes attention may spread the class to all tokens.
    """
    generator = torch.Generator().manual_seed(1)
    model = "self_explaining_roberta"
    spec = MODELS[model]
    options = {**spec.presets["tiny"].options, "vocabulary": 200, "layers": 1, "concepts": 50}
    module: Any = build(model, **options)

    def batch(rows: Sequence[int]) -> Pair:
        made = spec.make_batch(len(rows), generator, **options)
        ids = made.inputs["input_ids"]
        sizes = made.inputs["attention_mask"].sum(1)
        ids[(ids == 150) | (ids == 151)] = 149
        place = 1 + (torch.rand(len(rows), generator=generator) * (sizes - 2)).long()
        ids[torch.arange(len(rows)), place] = 150 + made.targets["labels"]
        return dict(made.inputs), dict(made.targets)

    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    train(module, shuffled(64, 32, batch), spec.recipe.loss, optimizer, steps=200, warm_up=20)
    inputs: dict[str, Any]
    inputs, targets = batch(range(100))
    found = explain(module, count=5, **inputs)
    right = [one.label == int(label) for one, label in zip(found, targets["labels"], strict=True)]
    assert fmean(right) > 0.95
    is_first = [
        int(ids[one.phrases[0].first]) in (150, 151) and one.phrases[0].last == place + 1
        for one, ids, place in zip(found, inputs["input_ids"], places(inputs), strict=True)
        if one.phrases
    ]
    assert fmean(is_first) > 0.9


def places(inputs: Tensors) -> list[int]:
    """Return where the planted words are."""
    is_planted = (inputs["input_ids"] == 150) | (inputs["input_ids"] == 151)
    return is_planted.int().argmax(1).tolist()


def test_bert_learns_64_questions_by_heart(data_root: str) -> None:
    """Measured with three seeds: exact match 100; without any answer it is 50."""
    questions = squad.read_questions(squad.find_split(Path(data_root), "train"))
    with_answer = [one for one in questions if one.answers][:32]
    chosen = [*with_answer, *[one for one in questions if not one.answers][:32]]
    asked = squad.to_asked(chosen)
    texts = [text for one in asked for text in (one.question, one.context)]
    tokenizer = train_tokenizer(wordpiece.KIND, texts, 2000)
    learned = QuestionSet(asked=asked, golds=squad.golds(chosen), facts={})
    samples = QuestionSamples(learned, tokenizer, length=160, stride=64)
    sizes = {"vocabulary": 2000, "width": 128, "layers": 2, "length": 160, "positions": 160}
    module = build("bert", **sizes)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    batches = shuffled(len(samples), 16, partial(pair_of, samples))
    loss = MODELS["bert"].recipe.loss
    train(module, batches, loss, optimizer, steps=250, warm_up=50, decay=True, clip_norm=1)
    with torch.no_grad():
        module.eval()
        scores = [module(**pair_of(samples, [row])[0])[0].numpy() for row in range(len(samples))]
    predictions = predict_answers(scores, samples.windows, asked)
    answers = {name: one.text for name, one in predictions.items()}
    assert evaluate(samples.golds, answers).exact == 100


def test_translation_learns_100_pairs_by_heart(data_root: str) -> None:
    """Measured with five seeds: all 100 decoded exactly after 180 to 260 steps."""
    pairs = spa_eng.one_target_each(spa_eng.read_pairs(spa_eng.find(Path(data_root))))
    chosen = [pairs[row] for row in range(0, 10_000, 100)]
    tokenizer = train_tokenizer(words.KIND, [text for pair in chosen for text in pair], 1000)
    samples = TranslationSamples(chosen, tokenizer, 16)
    module = build("translation")
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, betas=(0.9, 0.98))
    batches = shuffled(100, 32, partial(pair_of, samples))
    train(module, batches, MODELS["translation"].recipe.loss, optimizer, steps=300, warm_up=50)
    inputs, targets = pair_of(samples, range(100))
    source = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        module.eval()
        decoded = greedy(
            lambda ids: module(decoder_input_ids=ids, **source),
            tokenizer.special,
            batch=100,
            length=16,
        )
    labels = targets["labels"][:, : decoded.shape[1]]
    assert int(((decoded == labels) | (labels < 0)).all(1).sum()) == 100


def test_a_resnet_learns_images(data_root: str) -> None:
    """Measured with four seeds: 0.199 to 0.285 after four epochs; chance has 0.10."""
    samples = opened("resnet18", data_root, "train")
    module = build("resnet18", classes=10)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    batches = shuffled(len(samples), 50, partial(pair_of, samples))
    train(module, batches, MODELS["resnet18"].recipe.loss, optimizer, steps=80, warm_up=15)
    assert accuracy(module, opened("resnet18", data_root, "validation")) >= 0.15
