"""What replicas do with running statistics is what their strategy says."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from problem import Prepare, Problem, task_of
from strategy_variants import StrategyVariant, case_of, strategy_variants

from hpml_models.strategies.ddp import DdpTrainer
from hpml_models.types import Rank, Task
from hpml_models.worlds.world import World

Worlds = Callable[[int], World]

PROBLEM = Problem(
    widths=(3, 3, 3),
    hidden=12,
    batch=16,
    steps=2,
    optimizer="sgd",
    seed=1,
    dtype="float32",
    extra="batch_norm",
)


def means_at_forward(rank: Rank, prepare: Prepare, problem: Problem) -> list[float]:
    """Return a running mean as each forward pass after the first step finds it."""
    generator = torch.Generator().manual_seed(problem.seed)
    module = problem.build()
    batches = [problem.make_batch(problem.batch, generator) for _ in range(3)]
    trainer = prepare(task_of(problem, module, batches[0].inputs, rank))
    trainer.step(trainer.split(batches[0]))
    norm = next(one for one in module.modules() if isinstance(one, torch.nn.BatchNorm1d))
    seen: list[float] = []
    norm.register_forward_pre_hook(lambda *_: seen.append(float(norm.running_mean.sum())))  # type: ignore[union-attr]
    for batch in batches[1:]:
        trainer.step(trainer.split(batch))
    return seen


def apart(task: Task) -> DdpTrainer:
    """A planted fault: DDP does not broadcast buffers."""
    trainer = DdpTrainer(task)
    trainer.module.broadcast_buffers = False  # type: ignore[assignment]
    return trainer


REPLICAS = [
    one
    for one in strategy_variants()
    if not one.cuts_layers and one.strategy.replicas(case_of(PROBLEM, one, 2)) > 1
]


@pytest.mark.parametrize("tested", REPLICAS, ids=lambda tested: tested.id)
def test_replicas_begin_a_step_with_the_buffers_that_the_strategy_says(
    worlds: Worlds, tested: StrategyVariant
) -> None:
    problem = replace(PROBLEM, variant=tested.variant)
    first, second = worlds(2).run(means_at_forward, tested.strategy.prepare, problem)
    assert (first == second) == tested.strategy.shares_buffers


def test_replicas_whose_buffers_drift_apart_are_found_out(worlds: Worlds) -> None:
    first, second = worlds(2).run(means_at_forward, apart, PROBLEM)
    assert first != second
