"""Bubbles in theory, of a schedule's table and as measured; what theory says of bytes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpml_models.cases import registry
from hpml_models.cases.hardware import is_oversubscribed
from hpml_models.cases.setting import Setting
from hpml_models.cases.theory import theory_of
from hpml_models.cases.training import TrainingCase
from hpml_models.pipelines.bubble import BusyTime, bubble_of_1f1b, bubble_of_order
from hpml_models.types import ModelBytes
from hpml_steps.axes import cases

CASES = cases(
    TrainingCase,
    Setting(device="cpu", preset="tiny"),
    {"precision": ["fp32"], "device_count": [1, 2, 4]},
)
SINGLE = next(case for case in CASES if case.strategy == "single")


@pytest.mark.parametrize(
    ("stages", "micro_batches", "per_rank", "expected"),
    [(1, 4, 1, 0), (2, 1, 1, 1 / 2), (4, 8, 1, 3 / 11), (2, 4, 2, 1 / 9)],
)
def test_the_bubble_in_theory(
    stages: int, micro_batches: int, per_rank: int, expected: float
) -> None:
    assert bubble_of_1f1b(stages, micro_batches, per_rank) == pytest.approx(expected)


def test_a_tables_bubble_is_its_empty_places() -> None:
    assert bubble_of_order({0: ["F", "F", "B", None], 1: [None, "F", "B"]}) == 1 - 5 / 8


def test_busy_time_is_what_is_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 10, 40, 50, 90, 100])  # step, chunk, what is left out, end of the step
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(ticks))
    busy = BusyTime("cpu")
    work, other = busy.timing(lambda: "done"), busy.leaving_out(lambda: None)
    with busy.step():
        assert work() == "done"
        other()
    assert busy.bubble() == pytest.approx(1 - 30 / 60)


@given(st.sampled_from(CASES), st.integers(1, 2**40), st.integers(0, 2**40))
def test_what_theory_says_of_one_byte_it_says_of_all(
    case: TrainingCase, parameter: int, state: int
) -> None:
    strategy, theory = registry.strategies()[case.strategy], theory_of(case)
    single = ModelBytes(parameter_bytes=parameter, optimizer_bytes=state)
    held = strategy.model_bytes_in_theory(case, single)
    if held is not None:
        per_byte = theory["held_per_parameter_byte"], theory["held_per_optimizer_byte"]
        assert per_byte[0] * parameter + per_byte[1] * state == pytest.approx(held)
    sent = strategy.traffic_in_theory(case, single)
    assert (sent is None) == ("sent_per_parameter_byte" not in theory)
    if sent is not None:
        assert theory["sent_per_parameter_byte"] * parameter == pytest.approx(sent)


def test_only_ranks_on_cores_share_them() -> None:
    assert is_oversubscribed(replace(SINGLE, device_count=4096))
    assert not is_oversubscribed(SINGLE)
    assert not is_oversubscribed(replace(SINGLE, device="cuda", device_count=4096))
