"""Real steps of the suite in paired launches: ranks and all."""

import os

import pytest

from hpml_gate.measure.launch import Deadline, Side
from hpml_gate.measure.paired import interleaved_pair
from hpml_gate.measure.worker import StepRequest
from hpml_models.cases.matrix import Setting, cases
from hpml_models.prepare.step import prepare_step


@pytest.mark.parametrize(("strategy", "ranks"), [("single", 1), ("ddp", 2)])
def test_a_training_step_takes_turns_with_itself(strategy: str, ranks: int) -> None:
    case = next(
        case
        for case in cases("train", Setting(device="cpu", preset="tiny"))
        if (case.strategy, case.device_count, case.precision) == (strategy, ranks, "fp32")
    )
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
