"""The ablation's truth: dropout on the residual stream looks like overfitting and is none."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch

from hpml_models.models.translation import SPEC
from hpml_models.quality.dropout import DropoutLosses, dropout_losses, mean_loss
from hpml_models.types import Batch

WORDS, TOKENS = 100, 6
SIZES = {"vocabulary": WORDS, "d_model": 64, "heads": 4, "layers": 4, "length": TOKENS}


def batches(seed: int) -> Iterator[Batch]:
    """Yield sentences of words as frequent as words are, each translated word by word."""
    frequency = 1 / torch.arange(1, WORDS).float()
    translation_of = torch.randperm(WORDS - 1, generator=torch.Generator().manual_seed(0)) + 1
    generator = torch.Generator().manual_seed(seed)
    while True:
        drawn = torch.multinomial(frequency, 32 * TOKENS, replacement=True, generator=generator)
        source = drawn.view(32, TOKENS)
        target = translation_of[source]
        shown = torch.cat([torch.zeros(32, 1, dtype=torch.long), target[:, :-1]], dim=1)
        yield Batch(
            inputs={
                "input_ids": source + 1,
                "attention_mask": torch.ones_like(source),
                "decoder_input_ids": shown,
            },
            targets={"labels": target},
        )


@cache
def after_training(dropout_at: str) -> DropoutLosses:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = SPEC.build(**SIZES, dropout=0.5, dropout_at=dropout_at)
    optimizer, training = SPEC.recipe.make_optimizer(module.named_parameters()), batches(1)
    seen = []
    for _, batch in zip(range(120), training, strict=False):
        optimizer.zero_grad()
        loss = SPEC.recipe.loss(module(**batch.inputs), batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        optimizer.step()
        seen.append(batch)
    held_out = batches(2)
    losses = dropout_losses(
        module, SPEC.recipe, seen[-20:], [next(held_out) for _ in range(20)], WORDS
    )
    torch.set_num_threads(threads)
    return losses


def test_at_the_blocks_end_it_is_worse_without_dropout_on_training_data_too() -> None:
    losses = after_training("block_end")
    assert losses.is_worse_off
    assert losses.training_off > losses.training_on + 0.05
    assert losses.validation_off > losses.validation_on + 0.05
    assert losses.is_collapsed


def test_before_the_residual_sum_it_is_not() -> None:
    losses = after_training("sublayer")
    assert not losses.is_worse_off
    assert losses.training_off < losses.training_on - 0.05
    assert losses.unigram < losses.uniform


def test_measuring_leaves_no_trace() -> None:
    module = SPEC.build(**SIZES, dropout=0.5)
    layers: Any = module.layers
    layers[1].eval()
    modes, state = [one.training for one in module.modules()], torch.get_rng_state()
    some = [next(batches(3))]
    on = [mean_loss(module, SPEC.recipe, some, with_dropout=True) for _ in range(2)]
    off = mean_loss(module, SPEC.recipe, some, with_dropout=False)
    assert on[0] == on[1] != off
    assert off == mean_loss(module, SPEC.recipe, some, with_dropout=False)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [one.training for one in module.modules()]


def test_the_mean_is_over_words_and_not_over_batches() -> None:
    module = SPEC.build(**SIZES).eval()
    first, second = next(batches(3)), next(batches(4)).rows(slice(0, 2))
    separate = [
        mean_loss(module, SPEC.recipe, [one], with_dropout=False) for one in (first, second)
    ]
    together = mean_loss(module, SPEC.recipe, [first, second], with_dropout=False)
    assert together == pytest.approx((32 * separate[0] + 2 * separate[1]) / 34, rel=1e-5)
