"""The loop trains as plain PyTorch does, and reports what it reached."""

from dataclasses import replace

import numpy as np
import pytest
from bare import train_bare
from training_jobs import (
    BATCH,
    EPOCHS,
    PROBLEM,
    SAMPLES,
    Points,
    Under,
    make_loop,
    problem_batch,
    train,
)

from hpml_models.samples.base import Key
from hpml_models.training.validation import Validation
from hpml_models.types import Rank

ALONE = Rank(index=0, world_size=1, device="cpu", kept={})
BATCHES = SAMPLES // BATCH


def test_it_trains_as_the_bare_loop_does() -> None:
    """On the batches that seed and epoch give, with clipping; noise of a sample is its epoch's."""
    under = Under(problem=replace(PROBLEM, clip_norm=0.5), is_scheduled=False)
    points = Points(under.problem)
    orders = [np.random.default_rng((under.seed, epoch)) for epoch in range(EPOCHS)]
    rows = [order.permutation(SAMPLES)[: BATCHES * BATCH] for order in orders]
    batches = [
        points.collate([points[Key(int(row), epoch)] for row in part])
        for epoch, all_rows in enumerate(rows)
        for part in all_rows.reshape(BATCHES, BATCH)
    ]
    bare = train_bare(under.problem.build(), batches, under.problem.make_optimizer, 0.5)
    ours = train(ALONE, under)
    losses = [epoch.training_loss for epoch in ours.epochs]
    assert losses == pytest.approx(bare["losses"].reshape(EPOCHS, BATCHES).mean(axis=1).tolist())
    for name in (name for name in bare if name.startswith("parameter")):
        np.testing.assert_allclose(ours.tensors[name], bare[name], rtol=1e-5, atol=1e-6)


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    loop = make_loop(ALONE, Under(), None)
    step, rates = loop.trainer.step, []

    def noting(split: object) -> object:
        rates.append(loop.trainer.optimizer.param_groups[0]["lr"])
        return step(split)  # type: ignore[arg-type]  # it is handed through

    loop.trainer.step = noting  # type: ignore[method-assign, assignment]  # as above
    loop.run()
    parts = [1 / 3, 5 / 9, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert rates == pytest.approx([0.01 * part for part in parts])


def test_validation_is_without_dropout_on_the_weights_that_there_are_now() -> None:
    problem = replace(PROBLEM, extra="dropout")
    loop, inputs = make_loop(ALONE, Under(problem=problem), None), problem_batch(problem).inputs
    loop.run()
    module = problem.build().eval()
    module.load_state_dict(loop.trainer.snapshot().parameters)
    validation = Validation(problem.build(), lambda module: float(module(**inputs).sum().detach()))
    assert validation(loop.trainer) == float(module(**inputs).sum().detach())


def test_a_run_that_diverges_ends() -> None:
    loop = make_loop(ALONE, Under(), None)
    step = loop.trainer.step
    loop.trainer.step = lambda split: step(split) * float("nan")  # type: ignore[method-assign]
    with pytest.raises(FloatingPointError, match="the mean loss of epoch 1 is nan"):
        loop.run()


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(ValueError, match="0 epochs"):
        make_loop(ALONE, Under(epochs=0), None)
