"""Measurements that are not of the same work are not compared."""

from pathlib import Path

import pytest

from hpml_gate.baselines.store import Baseline, StoredSession
from hpml_gate.measure.parameters import described
from hpml_gate.measure.samples import Samples
from hpml_gate.run.comparable import why_incomparable, why_not_the_baselines_work

STEADY = ((10.0,) * 9,) * 4
GROWING = (tuple(10.0 + block for block in range(9)),) * 4


def samples(
    step_ns: tuple[tuple[float, ...], ...] = STEADY,
    items: int = 1,
    parameters: str = "",
    unjudged: str = "",
) -> Samples:
    return Samples(
        case_id="case", step_ns=step_ns, iterations=1, items_per_step=items, effective={},
        metrics={}, disturbances=(), parameters=parameters, unjudged=unjudged,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("base", "head", "says"),
    [
        (samples(items=200), samples(items=10), "10 items now and 200 before"),
        (samples(parameters="n=1"), samples(parameters="n=2"), "parameters are n=2 now"),
        (samples(), samples(unjudged="a coroutine"), "a coroutine"),
        (samples(GROWING), samples(GROWING), "its state grows"),
    ],
)
def test_other_work_is_not_compared(base: Samples, head: Samples, says: str) -> None:
    assert says in why_incomparable(base, head)
    stored = Baseline(
        case_id="case", test="test", axes={}, file=Path("session.json"), commit=None,
        is_dirty=False, sessions=[StoredSession(step_ns=base.step_ns, metrics={})],
        items_per_step=base.items_per_step, parameters=base.parameters,
    )  # fmt: skip
    assert says in why_not_the_baselines_work(stored, head)


def test_the_same_work_is_compared_and_growth_on_one_side_is_a_finding() -> None:
    assert why_incomparable(samples(), samples()) == ""
    assert why_incomparable(samples(), samples(GROWING)) == ""
    assert why_incomparable(samples(parameters="n=1"), samples()) == ""


def test_values_are_described_by_what_is_in_them() -> None:
    class Query:
        def __init__(self, size: int) -> None:
            self.size = size

    assert described(Query(3)) == described(Query(3))
    assert described(Query(3)) != described(Query(4))
    assert described({2, 1}) == described({1, 2})
    own: list[object] = []
    own.append(own)
    assert described(own) == "list(list(list(list(list))))"
