"""Each planted fault is caught by the property that every strategy is held to."""

from collections.abc import Callable
from dataclasses import replace

import faults
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problem import Prepare, Problem, train, worst_error

from hpml_models.worlds.world import World

Worlds = Callable[[int], World]

BASE = Problem(
    widths=(3, 4, 2, 5, 3, 4, 3, 2, 3),
    hidden=12,
    batch=13,
    steps=2,
    optimizer="sgd",
    seed=0,
    dtype="float64",
    clip_norm=0.5,
    micro_batches=2,
)
PIPELINE = replace(BASE, widths=(3,) * 9, batch=16, micro_batches=4, stages=2, variant="1f1b")


@pytest.mark.parametrize(
    ("fault", "world_size", "problem"),
    [
        (faults.Unweighted, 3, BASE),
        (faults.Summed, 3, replace(BASE, clip_norm=None)),
        (faults.Unreduced, 3, BASE),
        (faults.LeftOutBucket, 3, BASE),
        (faults.Dropped, 3, BASE),
        (faults.RunTwice, 3, BASE),
        (faults.UnclippedShard, 3, BASE),
        (faults.clipped_by_stage, 2, PIPELINE),
        (faults.out_of_order, 2, PIPELINE),
        (faults.seeded_by_rank, 2, PIPELINE),
        (faults.replicas_apart, 4, PIPELINE),
        (faults.untied, 3, replace(BASE, widths=(3, 4, 3, 2), tied=True)),
    ],
)
@given(seed=st.integers(0, 2**31), optimizer=st.sampled_from(["sgd", "adamw"]))
@settings(max_examples=20)
def test_a_planted_fault_is_caught(  # noqa: PLR0913  a fault, where it is planted, what is drawn
    worlds: Worlds, fault: Prepare, world_size: int, problem: Problem, seed: int, optimizer: str
) -> None:
    drawn = replace(problem, seed=seed, optimizer=optimizer)
    by_rank = worlds(world_size).run(train, fault, drawn)
    assert worst_error(by_rank, drawn) > 1
