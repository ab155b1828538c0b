"""The statistics as numbers: against scipy's own tests, and by how often they are wrong."""

from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp, ttest_ind

from hpml_gate.judge.statistics import (
    FEWEST_TO_TRIM,
    TRIMMED,
    Drift,
    drift_of,
    holm,
    of_pairs,
    of_sessions,
    usual_drift,
)


def lists(fewest: int, most: int) -> st.SearchStrategy[list[float]]:
    """Draw logarithms of ratios, of which no half is the same."""
    logs = st.lists(st.floats(-1, 1), min_size=fewest, max_size=most)
    return logs.filter(lambda v: np.subtract(*np.percentile(v, [70, 30])) > 1e-6)


LOGS = lists(3, 12)


@given(lists(3, FEWEST_TO_TRIM - 1), st.floats(0.5, 2.0))
def test_a_few_pairs_are_students_test_on_log_ratios(logs: list[float], ratio: float) -> None:
    expected = ttest_1samp(logs, log(ratio), alternative="greater").pvalue
    assert of_pairs(logs).p_above(ratio) == pytest.approx(expected, abs=1e-9)


@given(lists(FEWEST_TO_TRIM, 40), st.floats(0.5, 2.0))
def test_more_are_yuens_test(logs: list[float], ratio: float) -> None:
    """Scipy has it for two samples; one of zeros makes it a test of the other."""
    above = np.array(logs) - log(ratio)
    none = np.zeros(len(logs))
    expected = ttest_ind(above, none, equal_var=False, trim=TRIMMED, alternative="greater").pvalue
    assert of_pairs(logs).p_above(ratio) == pytest.approx(expected, abs=1e-9)


@given(LOGS)
def test_the_interval_is_the_set_of_ratios_that_are_not_refused(logs: list[float]) -> None:
    low, high = of_pairs(logs).bounds(0.98)
    assert of_pairs(logs).p_above(low) == pytest.approx(0.01, abs=1e-6)
    assert of_pairs(logs).p_above(high) == pytest.approx(0.99, abs=1e-6)
    assert of_pairs(logs).upper(0.99) == pytest.approx(high)


@given(LOGS, LOGS)
def test_one_session_without_drift_is_welchs_test(now: list[float], then: list[float]) -> None:
    estimate = of_sessions(np.exp(now).tolist(), [np.exp(then).tolist()], Drift())
    expected = ttest_ind(now, then, equal_var=False, alternative="greater").pvalue
    assert estimate.p_above(1.0) == pytest.approx(expected, abs=1e-9)


def test_launches_that_do_not_scatter_are_judged_by_their_ratio() -> None:
    same = of_pairs([log(1.02)] * 4)
    assert same.bounds(0.98) == pytest.approx((1.02, 1.02))
    assert (same.p_above(1.0), same.p_above(1.03)) == (0.0, 1.0)


def test_drift_widens_the_interval_and_more_launches_do_not_narrow_it() -> None:
    drift = Drift(variance=0.05**2, freedom=20)
    few, many = ([1.0, 1.01, 0.99] * count for count in (1, 20))
    widths = [
        np.subtract(*of_sessions(now, [now], drift).bounds(0.98)[::-1]) for now in (few, many)
    ]
    assert widths[0] > 0.25  # 2.5 standard deviations to either side, of two sessions each
    assert widths[1] > 0.9 * widths[0]


def test_a_case_with_one_session_leans_on_what_is_usual() -> None:
    usual = Drift(variance=0.04, freedom=12)
    assert drift_of([[1.0, 1.1]], usual) == usual
    own = drift_of([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]], usual)
    assert 0 < own.variance < usual.variance


def test_usual_drift_is_pooled_over_the_cases_that_tell() -> None:
    still, moving = [[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [exp(0.2), exp(0.2)]]
    assert usual_drift([[[1.0, 2.0]]]) == Drift(variance=0.0, freedom=inf)
    assert usual_drift([still, moving]).variance == pytest.approx(0.02 / 2)
    assert usual_drift([still, moving]).freedom == 2


def test_sessions_that_drift_are_not_called_slower() -> None:
    """Five kept sessions lie 4 % apart; the next one of the same code is hardly ever beyond."""
    generator = np.random.default_rng(3)
    trials, alarms = 400, 0
    for _ in range(trials):
        levels = 0.04 * generator.standard_normal(6)
        *stored, now = (
            np.exp(level + 0.01 * generator.standard_normal(4)).tolist() for level in levels
        )
        estimate = of_sessions(now, stored, drift_of(stored, Drift(variance=0.04**2, freedom=40)))
        alarms += estimate.p_above(1.0) < 0.01
    assert binomtest(alarms, trials, 0.02, alternative="greater").pvalue > 1e-3


def test_holm_by_its_own_example() -> None:
    """Four p-values, worked by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then no less than before."""
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: dict[str, float]) -> None:
    adjusted = holm(p_values)
    assert all(p_values[name] <= adjusted[name] <= 1 for name in p_values)
    order = sorted(p_values, key=p_values.__getitem__)
    assert [adjusted[name] for name in order] == sorted(adjusted.values())
