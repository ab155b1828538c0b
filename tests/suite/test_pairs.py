"""Real steps of the suite in paired launches: ranks and all."""

import os

import pytest

from hpml_gate.measure.launch import Deadline, Side
from hpml_gate.measure.paired import interleaved_pair
from hpml_gate.measure.worker import StepRequest
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.step import prepare_step
from hpml_steps.axes import cases


@pytest.mark.parametrize(("strategy", "ranks"), [("single", 1), ("ddp", 2)])
def test_a_training_step_takes_turns_with_itself(strategy: str, ranks: int) -> None:
    names = {"strategy": [strategy], "precision": ["fp32"]}
    setting = Setting(device="cpu", preset="tiny")
    (case,) = cases(TrainingCase, setting, {**names, "device_count": [ranks]})
    order = StepRequest(prepare=prepare_step, args=(case,))
    deadline = Deadline(timeout_s=240)
    with interleaved_pair(
        0, (Side(name="base"), order), (Side(), order), case.cpus, deadline
    ) as both:
        pair = both.measure(turns=2)
    for launch in (pair.base, pair.head):
        assert [len(block) for block in launch.blocks] == [ranks] * 4
        assert all(rank.cpu_ns > 0 for block in launch.blocks for rank in block)
        assert launch.metrics["peak_memory_bytes"].value > ranks * 50 * 2**20
        wanted = min(ranks, len(os.sched_getaffinity(0)))
        assert len(launch.effective["process"]["cpus"]) == wanted
    assert pair.base.iterations == pair.head.iterations
