"""Where strategies differ from one device, and may: docs/strategies.md says how."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from problem import Problem, on_one_device, train, worst_error

from hpml_models.cases import registry
from hpml_models.worlds.world import RankError, World

Worlds = Callable[[int], World]

PROBLEM = Problem(
    widths=(3,) * 9, hidden=12, batch=12, steps=2, optimizer="sgd", seed=1, dtype="float64"
)

PIPELINE = replace(PROBLEM, stages=2, variant="1f1b", micro_batches=2)


def deviation(worlds: Worlds, strategy: str, problem: Problem) -> float:
    prepare = registry.strategies()[strategy].prepare
    return worst_error(worlds(2).run(train, prepare, problem), problem)


@pytest.mark.parametrize("strategy", ["ddp", "zero1", "fsdp"])
@pytest.mark.parametrize("extra", ["batch_norm", "dropout"])
def test_replicas_normalise_and_drop_by_themselves(
    worlds: Worlds, strategy: str, extra: str
) -> None:
    assert deviation(worlds, strategy, PROBLEM) <= 1
    assert deviation(worlds, strategy, replace(PROBLEM, extra=extra)) > 1


def test_a_pipeline_normalises_by_micro_batch(worlds: Worlds) -> None:
    """A single micro-batch is the whole batch: then it is one device's."""
    whole = replace(PROBLEM, extra="batch_norm", stages=2, variant="gpipe")
    assert deviation(worlds, "model_parallel", whole) <= 1
    by_rank = worlds(2).run(
        train, registry.strategies()["pipeline"].prepare, replace(whole, micro_batches=4)
    )
    assert worst_error(by_rank, whole) > 1


def test_accumulation_normalises_by_micro_batch() -> None:
    whole = replace(PROBLEM, extra="batch_norm")
    assert worst_error([on_one_device(replace(whole, micro_batches=2))], whole) > 1


def test_sync_batch_norm_refuses_the_cpu(worlds: Worlds) -> None:
    """On CUDA it would be one device's; here nobody can show it."""
    with pytest.raises(RankError, match="SyncBatchNorm"):
        deviation(worlds, "ddp", replace(PROBLEM, extra="sync_batch_norm"))


@pytest.mark.parametrize(
    ("strategy", "problem", "says"),
    [
        ("pipeline", replace(PIPELINE, tied=True), "weights that layers share"),
        ("tensor_parallel", replace(PROBLEM, tied=True), "weights that layers share"),
        ("pipeline", replace(PIPELINE, widths=(3, 3)), "1 layers cannot be cut into 2 stages"),
        ("ddp", replace(PROBLEM, batch=1), "smaller than 2 replicas x 1 micro-batches"),
    ],
)
def test_what_would_be_another_training_is_refused(
    worlds: Worlds, strategy: str, problem: Problem, says: str
) -> None:
    with pytest.raises(RankError, match=says):
        deviation(worlds, strategy, problem)
