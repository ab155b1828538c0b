"""A run that was interrupted goes on as if it had not been, under any strategy on any ranks."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed.checkpoint
from strategy_variants import StrategyVariant, strategy_variants
from training_jobs import PROBLEM, Killed, Trained, Under, make_loop, train, train_until

from hpml_models.training.checkpoint import CheckpointError, Checkpoints
from hpml_models.types import Rank
from hpml_models.worlds.world import World

Worlds = Callable[[int], World]

ALONE = Rank(index=0, world_size=1, device="cpu", kept={})


@pytest.mark.parametrize(
    ("changes", "killed_before"),
    [
        ({"extra": "dropout"}, 3),
        ({"extra": "batch_norm", "optimizer": "sgd"}, 4),
        ({"frozen": True, "grouped": True, "clip_norm": 0.5}, 5),
        ({"tied": True, "widths": (3, 5, 3, 5)}, 1),
    ],
)
def test_on_one_device_it_is_the_same_bit_for_bit(
    tmp_path: Path, changes: dict[str, Any], killed_before: int
) -> None:
    """Dropout, statistics, groups, the mean loss of the epoch that was interrupted."""
    under = Under(problem=replace(PROBLEM, **changes), micro_batches=2)
    whole = train(ALONE, under)
    train_until(ALONE, under, tmp_path, killed_before, every=1)
    resumed = train(ALONE, under, tmp_path, every=1)
    assert resumed.epochs == whole.epochs
    assert resumed.rates == whole.rates
    assert resumed.tensors.keys() == whole.tensors.keys()
    for name, value in whole.tensors.items():
        np.testing.assert_array_equal(resumed.tensors[name], value, err_msg=name)


@pytest.mark.parametrize("tested", strategy_variants(), ids=lambda tested: tested.id)
def test_another_number_of_ranks_goes_on(
    worlds: Worlds, tmp_path: Path, tested: StrategyVariant
) -> None:
    """One device is interrupted, then two ranks are; three train to the end, and one reads it."""
    train_until(ALONE, Under(), tmp_path, 1, every=1)
    worlds(2).run(train_until, _under(tested, 2), tmp_path, 3, 1)
    resumed = worlds(3).run(train, _under(tested, 3), tmp_path)
    saved = [path.name for path in Checkpoints(folder=tmp_path).whole()]
    assert saved == ["step-000000004", "step-000000006"]
    check_same([*resumed, train(ALONE, Under(), tmp_path)])


def _under(tested: StrategyVariant, world_size: int) -> Under:
    stages = world_size if tested.cuts_layers else 1
    several = tested.strategy.micro_batches > 1
    return Under(
        strategy=tested.strategy.name,
        variant=tested.variant,
        stages=stages,
        micro_batches=2 * stages if several else 1 if tested.cuts_layers else 2,
    )


@cache
def _on_one_device(jitter_seed: int | None = None) -> Trained:
    return train(ALONE, Under(jitter_seed=jitter_seed))


def check_same(resumed: list[Trained]) -> None:
    """Hold runs to an uninterrupted one, by the tolerance of ``problem.worst_error``."""
    expected = _on_one_device()
    jittered = [_on_one_device(seed) for seed in (1, 2, 3)]
    assert {name for one in resumed for name in one.tensors} == {*expected.tensors}
    for one in resumed:
        for name, value in one.tensors.items():
            moved = [_distance(other.tensors[name], expected.tensors[name]) for other in jittered]
            largest = float(np.abs(expected.tensors[name]).max())
            allowed = 8 * max(*moved, 4 * PROBLEM.unit_roundoff * largest)
            assert _distance(value, expected.tensors[name]) <= allowed, name
        reached = [(epoch.training_loss, epoch.quality) for epoch in one.epochs]
        assert reached == [
            pytest.approx((epoch.training_loss, epoch.quality), rel=1e-5)
            for epoch in expected.epochs
        ]


def _distance(one: Any, other: Any) -> float:
    return float(np.abs(one - other).max())


@pytest.mark.parametrize("is_written", [True, False])
def test_killed_in_the_middle_of_a_save_it_goes_on_from_the_last_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_written: bool
) -> None:
    save = torch.distributed.checkpoint.save

    def killed(state: Any, *, checkpoint_id: Path) -> None:
        if is_written or checkpoint_id.name != "step-000000003.partial":
            save(state, checkpoint_id=checkpoint_id)
        if checkpoint_id.name == "step-000000003.partial":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(torch.distributed.checkpoint, "save", killed)
        with pytest.raises(Killed):
            train(ALONE, Under(), tmp_path, every=1)
    assert (tmp_path / "step-000000003.partial").is_dir()
    assert make_loop(ALONE, Under(), tmp_path).progress.step == 2
    check_same([train(ALONE, Under(), tmp_path, every=1)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-000000005", "step-000000006"]


def test_the_end_of_an_epoch_is_saved_without_being_asked_for(tmp_path: Path) -> None:
    train_until(ALONE, Under(), tmp_path, 5, every=100)
    assert make_loop(ALONE, Under(), tmp_path).progress.step == 4


def _remove(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_remove, _truncate])
@pytest.mark.parametrize("name", [".metadata", "training.json", "__0_0.distcp"])
def test_half_a_checkpoint_is_refused(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    train_until(ALONE, Under(), tmp_path, 1, every=1)
    damage(tmp_path / "step-000000001" / name)
    with pytest.raises(CheckpointError, match=r"step-000000001 is half .* \(.*\): delete it"):
        make_loop(ALONE, Under(), tmp_path)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (Under(problem=replace(PROBLEM, hidden=24)), "0.up.weight .12, 3., here .24, 3."),
        (Under(problem=replace(PROBLEM, optimizer="sgd")), "optimizer AdamW, here SGD"),
        (Under(seed=6), "seed 5, here 6"),
        (Under(epochs=4), "scheduled_steps 6, here 8"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, other: Under, difference: str
) -> None:
    train_until(ALONE, Under(), tmp_path, 1, every=1)
    with pytest.raises(CheckpointError, match=f"is of another training: {difference}"):
        make_loop(ALONE, other, tmp_path)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    train_until(ALONE, Under(), tmp_path, 1, every=1)
    header = tmp_path / "step-000000001" / "training.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "version": 99}))
    with pytest.raises(CheckpointError, match="has version 99, this code reads 1"):
        make_loop(ALONE, Under(), tmp_path)
