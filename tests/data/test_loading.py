"""Data loading as a step: what it waits for, workers that run, ids that say it."""

from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from itertools import pairwise
from multiprocessing import active_children
from typing import get_args

import pytest
from files import write_reviews

from hpml_models.cases.loading import FeedingCase, LoadingCase
from hpml_models.cases.setting import Setting
from hpml_models.instruments.waiting import measure_waiting
from hpml_models.prepare.loading import prepare_feeding, prepare_loading
from hpml_models.types import Device
from hpml_steps.axes import cases
from hpml_steps.incorrect import Incorrect

CASE = LoadingCase(
    data_root=None, data="sst2", batch=16, reading="ahead", batch_memory="pageable", workers=0
)
CPU = Setting(device="cpu", preset="tiny")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_reviews(tmp_path_factory.mktemp("data")))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("reading", ["ahead", "on_demand"])
def test_loading_is_a_step_whose_workers_end_with_it(root: str, workers: int, reading: str) -> None:
    others = len(active_children())
    case = replace(CASE, workers=workers, reading=reading, data_root=root)  # type: ignore[arg-type]
    step = prepare_loading(case)
    assert len(active_children()) == others + workers == others + step.effective["workers"]
    assert step.effective["shapes"]["input_ids"] == [16, 64]
    assert (step.effective["cut_to_length"] is None) == (reading == "on_demand")
    for _ in range(5):  # past the end of an epoch of three batches
        step.run()
    step.close()
    assert len(active_children()) == others
    with pytest.raises(ValueError, match="the workers have ended"):
        step.run()


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")
def test_memory_that_is_not_pinned_is_incorrect(root: str) -> None:
    """On a machine without a GPU nothing can be."""
    case = replace(CASE, batch_memory="pinned", data_root=root)
    with pytest.raises(Incorrect, match=r"'pinned': False.*, not .*'pinned': True"):
        prepare_loading(case)


def test_waiting_is_what_passes_before_a_batch_is_there() -> None:
    now_ns = 0

    def batches() -> Iterator[int]:
        nonlocal now_ns
        for wait_ns in [30] * 17 + [70] * 3:
            now_ns += wait_ns
            yield 1

    def step(_: int) -> None:
        nonlocal now_ns
        now_ns += 60

    found = measure_waiting(batches(), step, clock_ns=lambda: now_ns)
    assert (found.wait_median_ns, found.wait_p90_ns) == (30, 70)
    assert found.wait_share == pytest.approx(720 / (720 + 20 * 60))
    assert found.rate_over_one_batch == pytest.approx(1200 / 1920)
    assert not found.is_hidden


def test_steps_that_workers_slow_down_hide_nothing_though_they_never_wait() -> None:
    now_ns, steps = 0, 0

    def step(_: int) -> None:
        nonlocal now_ns, steps
        now_ns += 188 if steps < 20 else 151  # with workers on the step's core, and without work
        steps += 1

    found = measure_waiting(iter(range(20)), step, clock_ns=lambda: now_ns)
    assert (found.wait_share, found.is_hidden) == (0, False)
    assert found.rate_over_one_batch == pytest.approx(151 / 188)


def test_an_id_says_all_that_can_change_the_time() -> None:
    assert CASE.id == "load-sst2-b16"
    assert replace(CASE, workers=2, reading="on_demand").id == "load-sst2-b16-on_demand-w2"
    for device in get_args(Device):
        setting = replace(CPU, device=device)
        made = [one for kind in (LoadingCase, FeedingCase) for one in cases(kind, setting)]
        assert len({case.id for case in made}) == len(made) > 20
        assert any(case.batch_memory == "pinned" for case in made) == (device == "cuda")
    assert not any(case.reading == "on_demand" for case in made if case.data == "cifar10")
    assert {one.workers for one in cases(LoadingCase, CPU, {"workers": [4, 16]})} == {4, 16}


def test_what_cannot_be_loaded_says_why() -> None:
    assert "no_data" in str(CASE.why_not(CPU))
    assert CASE.why_not(replace(CPU, data_root="somewhere")) is None


def test_a_fed_model_learns_from_each_batch_as_it_comes(data_root: str) -> None:
    fields = {field.name: getattr(CASE, field.name) for field in dataclass_fields(CASE)}
    case = FeedingCase(**{**fields, "data": "cifar10", "workers": 1, "data_root": data_root})
    step = prepare_feeding(case)
    losses = [float(step.run()) for _ in range(3)]  # type: ignore[arg-type]
    assert all(before != after for before, after in pairwise(losses))
    waiting = step.observe()["waiting"]
    assert 0 <= waiting["wait_share"] <= 1
    step.close()
