"""A strategy's proof believes the strategy, and no sham of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import faults
import pytest
from problem import Problem
from strategy_variants import StrategyVariant, strategy_variants

from hpml_models.worlds.world import World

Worlds = Callable[[int], World]

PROBLEM = Problem(
    widths=(3,) * 9, hidden=12, batch=16, steps=2, optimizer="sgd", seed=1, dtype="float32"
)
PIPELINE = replace(PROBLEM, micro_batches=4, stages=2, variant="1f1b")


@pytest.mark.parametrize("tested", strategy_variants(), ids=lambda tested: tested.id)
def test_the_strategy_itself_is_believed(worlds: Worlds, tested: StrategyVariant) -> None:
    several = 4 if tested.strategy.micro_batches > 1 or not tested.cuts_layers else 1
    stages = 2 if tested.cuts_layers else 1
    problem = replace(PROBLEM, micro_batches=several, stages=stages, variant=tested.variant)
    answers = worlds(2).run(faults.prove, tested.strategy.prepare, tested.strategy.name, problem)
    assert answers == ["believed"] * 2


@pytest.mark.parametrize(
    ("strategy", "sham", "world_size", "problem"),
    [
        ("ddp", faults.Unreduced, 2, PROBLEM),
        ("zero1", faults.Unsharded, 2, PROBLEM),
        ("fsdp", faults.Unwrapped, 2, PROBLEM),
        ("tensor_parallel", faults.Uncut, 2, PROBLEM),
        ("pipeline", faults.replicas_apart, 4, PIPELINE),
        ("pipeline", faults.fewer_micro_batches, 2, PIPELINE),
        ("pipeline", faults.gpipe_for_1f1b, 2, PIPELINE),
        ("pipeline", faults.whole_backward, 2, replace(PIPELINE, variant="zero_bubble")),
        ("fsdp", faults.RootOnly, 2, PROBLEM),
        ("fsdp", faults.MetEachTime, 2, replace(PROBLEM, micro_batches=2)),
        ("tensor_parallel", faults.CutOnce, 2, PROBLEM),
    ],
)
def test_a_sham_is_not_believed(
    worlds: Worlds, strategy: str, sham: Any, world_size: int, problem: Problem
) -> None:
    for answer in worlds(world_size).run(faults.prove, sham, strategy, problem):
        assert answer != "believed"


@pytest.mark.parametrize(("ran", "asked"), [("zero1", 3), ("zero1", 2), ("zero2", 3)])
def test_another_stage_of_deepspeed_is_not_believed(worlds: Worlds, ran: str, asked: int) -> None:
    answers = worlds(2).run(faults.prove_other_stage, asked, replace(PROBLEM, variant=ran))
    assert all(
        answer.startswith(f"deepspeed_zero zero{asked} did not take effect") for answer in answers
    )
