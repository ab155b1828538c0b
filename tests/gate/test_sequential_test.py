"""The rules by which pairs are judged, run on scripted launches: how often they are wrong."""

from collections.abc import Iterator
from itertools import islice
from math import log

import numpy as np
import pytest
from scipy.stats import binomtest

from hpml_gate.judge import sequential_test
from hpml_gate.judge.budget import Budget
from hpml_gate.judge.statistics import holm, of_pairs
from hpml_gate.judge.verdict import of_screening, of_trial
from hpml_gate.measure.samples import Observation
from hpml_gate.self_test.error_rates import (
    Pool,
    gate_rate,
    rule_rate,
    run_rate,
    run_trial,
    summary,
)
from hpml_gate.self_test.other_tools import RULES

MARGIN = 0.03
BUDGET = Budget.of(60.0)
LAUNCH_S = 2.0


def draws(
    generator: np.random.Generator, slowdown: float, scatter: float
) -> Iterator[tuple[float, float]]:
    spent_s = 0.0
    while True:
        spent_s += LAUNCH_S
        yield log(1 + slowdown) + scatter * generator.standard_normal(), spent_s


def is_found(generator: np.random.Generator, slowdown: float, scatter: float) -> bool:
    """Screen and confirm one case as the gate does."""
    screened = sequential_test.screen(draws(generator, slowdown, scatter), MARGIN, BUDGET.screen_s)
    if screened.is_clear or screened.estimate.ratio <= 1:
        return False
    outcome = sequential_test.confirm(draws(generator, slowdown, scatter), MARGIN, BUDGET.confirm_s)
    return of_trial("case", outcome, outcome.p_value, MARGIN).status == "slower"


@pytest.mark.parametrize("scatter", [0.002, 0.01, 0.03, 0.10])
def test_no_change_fails_at_most_once_in_a_hundred_runs(scatter: float) -> None:
    """A run of twelve cases, Holm over its suspects; on quiet and on very noisy machines."""
    generator = np.random.default_rng(1)
    runs, alarms = 200, 0
    for _ in range(runs):
        suspects = {}
        for case in range(12):
            screened = sequential_test.screen(
                draws(generator, 0.0, scatter), MARGIN, BUDGET.screen_s
            )
            if not screened.is_clear and screened.estimate.ratio > 1:
                again = draws(generator, 0.0, scatter)
                suspects[str(case)] = sequential_test.confirm(again, MARGIN, BUDGET.confirm_s)
        adjusted = holm({name: outcome.p_value for name, outcome in suspects.items()})
        alarms += any(
            of_trial(name, outcome, adjusted[name], MARGIN).status == "slower"
            for name, outcome in suspects.items()
        )
    assert binomtest(alarms, runs, 0.01, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(
    ("slowdown", "scatter", "power"), [(0.02, 0.010, 0.95), (0.03, 0.010, 0.99), (0.05, 0.02, 0.99)]
)
def test_a_slowdown_is_found(slowdown: float, scatter: float, power: float) -> None:
    generator = np.random.default_rng(2)
    trials = 300
    found = sum(is_found(generator, slowdown, scatter) for _ in range(trials))
    assert binomtest(found, trials, power, alternative="less").pvalue > 1e-3


def unlucky(generator: np.random.Generator) -> Iterator[float]:
    """Give launches of which one in five went wrong on either side, by ten times the scatter."""
    while True:
        yield generator.normal(0.0, 0.1 if generator.random() < 0.2 else 0.01)


def test_launches_that_went_wrong_hide_no_slowdown_and_make_none() -> None:
    generator = np.random.default_rng(8)
    trials, launches = 400, 30
    found = {0.0: 0, 0.02: 0}
    for slowdown in found:
        for _ in range(trials):
            logs = [log(1 + slowdown) + x for x in islice(unlucky(generator), launches)]
            estimate = of_pairs(logs)
            found[slowdown] += sequential_test.is_regression(
                estimate, estimate.p_above(1.0), MARGIN
            )
    assert binomtest(found[0.0], trials, 0.01, alternative="greater").pvalue > 1e-3
    assert binomtest(found[0.02], trials, 0.9, alternative="less").pvalue > 1e-3


def test_a_clear_pass_is_cheap() -> None:
    generator = np.random.default_rng(3)
    outcome = sequential_test.screen(draws(generator, 0.0, 0.003), MARGIN, BUDGET.screen_s)
    assert outcome.is_clear
    assert outcome.launches == sequential_test.FEWEST_TO_CLEAR
    assert of_screening("case", outcome, MARGIN).status == "pass"


def test_a_large_slowdown_ends_the_confirmation_early() -> None:
    generator = np.random.default_rng(4)
    outcome = sequential_test.confirm(draws(generator, 0.5, 0.01), MARGIN, BUDGET.confirm_s)
    assert outcome.launches == sequential_test.FEWEST_TO_STOP_EARLY


def test_the_budget_is_not_passed() -> None:
    generator = np.random.default_rng(5)
    outcome = sequential_test.confirm(draws(generator, 0.0, 0.3), MARGIN, BUDGET.confirm_s)
    assert BUDGET.confirm_s - LAUNCH_S <= outcome.launches * LAUNCH_S <= BUDGET.confirm_s


def test_too_many_suspects_cost_certainty() -> None:
    """What is significant alone need not be among many: that is what Holm is for."""
    outcome = sequential_test.Outcome(
        estimate=of_pairs([0.02, 0.05, 0.03, 0.06, 0.025]),
        launches=5,
        is_clear=False,
        p_value=0.004,
    )
    assert of_trial("case", outcome, outcome.p_value, MARGIN).status == "slower"
    assert of_trial("case", outcome, 10 * outcome.p_value, MARGIN).status == "inconclusive"


def test_many_true_regressions_are_all_found() -> None:
    """What early looks may spend is shared, so Holm's factor does not make them worthless."""
    generator = np.random.default_rng(7)
    suspects = 40
    outcomes = {
        str(case): sequential_test.confirm(
            draws(generator, 0.3, 0.01), MARGIN, BUDGET.confirm_s, suspects
        )
        for case in range(suspects)
    }
    adjusted = holm({name: outcome.p_value for name, outcome in outcomes.items()})
    verdicts = [of_trial(name, outcomes[name], adjusted[name], MARGIN) for name in outcomes]
    assert {verdict.status for verdict in verdicts} == {"slower"}


def test_a_second_metric_must_be_beyond_its_margin() -> None:
    outcome = sequential_test.outcome_of([log(1.03)] * 4, 0.05)
    assert of_trial("case", outcome, outcome.p_value, 0.05, "peak_bytes").status == "pass"
    outcome = sequential_test.outcome_of([log(1.06)] * 4, 0.05)
    assert of_trial("case", outcome, outcome.p_value, 0.05, "peak_bytes").status == "slower"


@pytest.mark.parametrize(
    ("log_ratios", "alarm"),
    [
        ([0.05, 0.051, 0.049], True),
        ([-0.05, -0.051, -0.049], True),
        ([0.002, 0.0021, 0.0019], False),
        ([0.05, -0.04, 0.02], False),
    ],
)
def test_the_null_control_knows_a_difference_from_scatter(
    log_ratios: list[float], *, alarm: bool
) -> None:
    assert sequential_test.is_alarm(of_pairs(log_ratios), MARGIN) == alarm


def observations(share: float, scatter: float, count: int = 30) -> list[Observation]:
    generator = np.random.default_rng(round(share * 100))
    times = 100 * np.exp(0.005 * generator.standard_normal((count, 2, 24)))
    ratios = log(1 + share) + scatter * generator.standard_normal(count)
    return [
        Observation(
            case_id="case",
            is_loaded=False,
            share=share,
            log_ratio=float(ratio),
            seconds=LAUNCH_S,
            base_ns=base.tolist(),
            head_ns=(head * np.exp(ratio)).tolist(),
        )
        for ratio, (base, head) in zip(ratios, times, strict=True)
    ]


def test_error_rates_are_what_the_launches_say() -> None:
    pool = Pool.of([*observations(0.0, 0.008), *observations(0.05, 0.008)])
    none, seconds = gate_rate(pool, 0.0, MARGIN, BUDGET)
    assert (none.count, none.rate < 0.01) == (60, True)
    assert seconds < 30
    assert gate_rate(pool, 0.05, MARGIN, BUDGET)[0].rate > 0.95
    mean_rule = rule_rate(RULES["pytest-benchmark mean:5%"], observations(0.10, 0.008))
    assert (mean_rule.rate, mean_rule.high) == (1.0, 1.0)
    assert mean_rule.low > 0.85


def test_what_was_planted_is_taken_off_before_launches_are_pooled() -> None:
    """The same deviations, whatever was planted; drawn with either sign they are centred."""
    pools = [Pool.of(observations(share, 0.0)) for share in (0.0, 0.05)]
    assert [pool.deviations.tolist() for pool in pools] == [pytest.approx([0.0] * 30)] * 2
    biased = Pool(deviations=np.full(20, 0.03), seconds=np.full(20, LAUNCH_S))
    drawn = [r for r, _ in islice(biased.draws(0.0, np.random.default_rng(1)), 400)]
    assert abs(float(np.mean(drawn))) < 0.006


@pytest.mark.parametrize("name", RULES)
def test_each_tools_rule_finds_a_fifth_and_nothing_in_equals(name: str) -> None:
    rule = RULES[name]
    base = [100.0 + number % 7 for number in range(40)]
    assert rule(base, [1.2 * ns for ns in base[::-1]])
    assert not rule(base, base[::-1])


def test_a_run_of_many_steady_cases_hardly_ever_fails() -> None:
    steady = [Pool.of(observations(0.0, 0.008))] * 6
    assert run_rate(steady, MARGIN, BUDGET).rate < 0.01
    assert run_trial(steady[0], 0.10, MARGIN, BUDGET, np.random.default_rng(8)).is_slower


def test_the_table_names_each_case_and_every_tool() -> None:
    both = [*observations(0.0, 0.01), *observations(0.1, 0.01)]
    text = "\n".join(summary(both, MARGIN, BUDGET))
    assert "Runs of 1 cases without any change that fail, no load" in text
    assert "**case**, no load" in text
    assert all(name in text for name in RULES)
    assert text.count("\n| ") == 3
