"""Device utilisation: what is covered by spans of work, and what a process uses of its cores."""

import time
from collections.abc import Sequence
from contextlib import closing
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.instruments.utilisation import STEPS, Span, busy_share, spans_of, utilisation
from hpml_models.prepare.step import prepare_step
from hpml_steps.axes import cases

starts_and_lengths = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=12
)


@given(starts_and_lengths.flatmap(st.permutations))
def test_what_overlaps_counts_once(drawn: Sequence[tuple[int, int]]) -> None:
    spans = [Span(0, start, start + length) for start, length in drawn]
    covered = {tick for _, start, end in spans for tick in range(int(start), int(end))}
    whole = max(covered) + 1 - min(covered)
    assert busy_share(spans) == pytest.approx(len(covered) / whole)


def test_each_device_counts_by_itself() -> None:
    assert busy_share([Span(0, 0, 4), Span(1, 0, 1), Span(1, 3, 4)]) == pytest.approx(0.75)


def test_nothing_seen_is_nothing_said() -> None:
    assert busy_share([]) is None


def test_a_process_is_busy_while_it_has_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"wall": 0, "cpu": 0}
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now["wall"])
    monkeypatch.setattr(time, "process_time_ns", lambda: now["cpu"])
    steps = []

    def step() -> None:
        steps.append(1)
        now["wall"] += 1000 if len(steps) == 1 else 10  # the first waits for the other ranks
        now["cpu"] += 4

    assert utilisation("cpu", step) == pytest.approx(0.4)
    assert len(steps) == STEPS + 1


def test_a_process_that_sleeps_is_not_busy() -> None:
    asleep = utilisation("cpu", lambda: time.sleep(0.02))
    assert asleep is not None
    assert asleep < 0.5


def test_kernels_count_and_annotations_around_them_do_not() -> None:
    """As a profiler of CUDA gives them, written by hand; a real one of the CPU gives none."""

    def event(device: DeviceType, start: int, *, is_user_annotation: bool) -> SimpleNamespace:
        return SimpleNamespace(
            device_type=device,
            device_index=0,
            time_range=SimpleNamespace(start=start, end=start + 1),
            is_user_annotation=is_user_annotation,
        )

    kernel = event(DeviceType.CUDA, 1, is_user_annotation=False)
    around = event(DeviceType.CUDA, 2, is_user_annotation=True)
    on_host = event(DeviceType.CPU, 3, is_user_annotation=False)
    assert spans_of([kernel, around, on_host]) == [Span(0, 1, 2)]
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        torch.ones(3).sum()
    assert profiler.events()
    assert spans_of(profiler.events() or []) == []


@pytest.mark.parametrize(("strategy", "ranks"), [("single", 1), ("ddp", 2)])
def test_a_step_observes_each_of_its_ranks(strategy: str, ranks: int) -> None:
    names = {"model": ["translation"], "strategy": [strategy], "precision": ["fp32"]}
    setting = Setting(device="cpu", preset="tiny")
    (case,) = cases(TrainingCase, setting, {**names, "batch": [8], "device_count": [ranks]})
    with closing(prepare_step(case)) as step:
        observed = step.observe()["utilisation"]
    by_rank = observed if ranks > 1 else [observed]
    assert len(by_rank) == ranks
    assert all(0 < share < ranks + 1 for share in by_rank)
