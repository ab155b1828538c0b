"""The comparison, as numbers: what it says, and how often it is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hpml_gate.judge.verdict import Verdict, against_sessions, is_steady

MARGIN = 0.10
LAUNCHES = 4
STEADY = [1.00, 1.01, 0.99, 1.00]


def judge(now: list[float], baseline: list[float]) -> Verdict:
    return against_sessions("case", now, [baseline], margin=MARGIN)


@pytest.mark.parametrize(
    ("factor", "status"),
    [(1.0, "pass"), (1.03, "pass"), (1.3, "slower"), (0.7, "faster"), (1.07, "pass")],
)
def test_what_a_steady_case_is_called(factor: float, status: str) -> None:
    verdict = judge([factor * ns for ns in STEADY], STEADY)
    assert verdict.status == status
    assert verdict.ratio == pytest.approx(factor)
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < factor < verdict.high


def test_a_ratio_that_scatter_could_explain_is_not_called_slower() -> None:
    assert judge([1.0, 1.6, 0.9, 1.3], [1.0, 1.4, 0.8, 1.0]).status == "inconclusive"


def test_a_baseline_that_scatters_says_that_only_recording_anew_helps() -> None:
    assert "recording it anew" in judge(STEADY, [1.0, 1.4, 0.8, 1.0]).reason
    assert not judge([1.0, 1.4, 0.8, 1.0], STEADY).reason


def test_launches_that_do_not_scatter_at_all_are_judged_by_their_ratio() -> None:
    assert judge([2.0] * 4, [1.0] * 4).status == "slower"
    assert judge([1.0] * 4, [1.0] * 4).status == "pass"


@pytest.mark.parametrize(
    ("launches", "steady"), [([1.0, 1.02, 0.99, 1.0], True), ([1.0, 1.02, 0.99, 1.6], False)]
)
def test_one_launch_apart_from_the_others_is_no_steady_set(
    launches: list[float], *, steady: bool
) -> None:
    assert is_steady(launches, MARGIN) == steady


@given(
    st.lists(st.floats(1e-3, 1e12), min_size=2, max_size=8),
    st.lists(st.floats(1e-3, 1e12), min_size=2, max_size=8),
)
def test_swapping_the_sides_inverts_the_verdict(now: list[float], baseline: list[float]) -> None:
    """Equal up to rounding: a bound that sits on a threshold may fall to either side."""
    there, back = judge(now, baseline), judge(baseline, now)
    assert there.ratio is not None
    assert back.ratio is not None
    assert there.ratio * back.ratio == pytest.approx(1.0)
    assert {there.status, back.status} != {"slower"}
    assert {there.status, back.status} != {"faster"}


@given(st.floats(1e-6, 1e6))
def test_the_unit_of_time_does_not_matter(unit: float) -> None:
    slow = [1.3 * ns for ns in STEADY]
    scaled = judge([unit * ns for ns in slow], [unit * ns for ns in STEADY])
    assert scaled.ratio == pytest.approx(1.3)
    assert scaled.status == "slower"


@pytest.mark.parametrize("scatter", [0.005, 0.02, 0.05, 0.15])
def test_fewer_than_one_comparison_of_the_same_with_the_same_in_a_hundred_is_slower(
    scatter: float,
) -> None:
    """Launches scatter as they do on quiet and on noisy machines; sides come from one source."""
    generator = np.random.default_rng(1)
    trials = 2000
    alarms = sum(
        judge(*np.exp(scatter * generator.standard_normal((2, LAUNCHES))).tolist()).status
        == "slower"
        for _ in range(trials)
    )
    assert binomtest(alarms, trials, 0.01, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(("slowdown", "scatter", "power"), [(1.3, 0.02, 0.99), (1.2, 0.02, 0.9)])
def test_a_planted_slowdown_is_found(slowdown: float, scatter: float, power: float) -> None:
    generator = np.random.default_rng(2)
    trials = 500
    found = 0
    for _ in range(trials):
        baseline, now = np.exp(scatter * generator.standard_normal((2, LAUNCHES)))
        found += judge((slowdown * now).tolist(), baseline.tolist()).status == "slower"
    assert binomtest(found, trials, power, alternative="less").pvalue > 1e-3
