"""Recipes with several groups of parameters, and with some that are not trained."""

from collections.abc import Callable
from dataclasses import replace

import faults
import pytest
from problem import Problem, train, worst_error
from strategy_variants import StrategyVariant, strategy_variants

from hpml_models.worlds.world import World

Worlds = Callable[[int], World]

PROBLEM = Problem(
    widths=(3,) * 9,
    hidden=12,
    batch=16,
    steps=2,
    optimizer="sgd",
    seed=1,
    dtype="float32",
    weight_decay=0.1,
    grouped=True,
    frozen=True,
)


@pytest.mark.parametrize("tested", strategy_variants(), ids=lambda tested: tested.id)
def test_groups_and_frozen_parameters_are_trained_as_on_one_device(
    worlds: Worlds, tested: StrategyVariant
) -> None:
    stages, micro_batches = (2, 4) if tested.cuts_layers else (1, 2)
    if tested.strategy.micro_batches == 1:
        micro_batches = 1
    problem = replace(PROBLEM, variant=tested.variant, stages=stages, micro_batches=micro_batches)
    by_rank = worlds(2).run(train, tested.strategy.prepare, problem)
    assert worst_error(by_rank, problem, gradients=tested.strategy.shows_gradients) <= 1
    answers = worlds(2).run(faults.prove, tested.strategy.prepare, tested.strategy.name, problem)
    assert answers == ["believed"] * 2
