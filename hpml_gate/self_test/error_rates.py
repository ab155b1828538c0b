"""How often a rule is wrong, and how often it finds what is there, from measured launches.

The gate's rates are those of its own rules (:mod:`hpml_gate.judge.sequential_test`), run over
launches drawn with replacement from the measured ones; their interval is a bootstrap over launches.
Both sides ran the same code, so which is called base is arbitrary: a launch's deviation from what
was planted is drawn with either sign, and that of any planted share counts for all. The rates of
other tools' rules are counted launch by launch: each compares one process with one other.

``python -m hpml_gate.self_test.error_rates FILE ...`` prints the tables of self-test.json files.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import exp, log
from pathlib import Path
from statistics import mean, median

import numpy as np
import numpy.typing as npt

from hpml_gate.judge import sequential_test
from hpml_gate.judge.budget import Budget
from hpml_gate.judge.statistics import holm, of_pairs
from hpml_gate.measure.samples import Observation
from hpml_gate.self_test.other_tools import RULES, Times

RUNS = 400  # of a suite without any change
OUTER, INNER = 30, 60  # resampled sets of launches, and trials over each
SEED = 1

Generator = np.random.Generator
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often a rule says slower, with an interval of 95 %."""

    rate: float
    low: float
    high: float
    count: int  # launches that it rests on

    def __str__(self) -> str:
        """Say it in percent."""
        return f"{self.rate:.1%} ({self.low:.1%} to {self.high:.1%})"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one trial of the gate ended."""

    is_slower: bool
    is_clear: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What launches of one case scatter by, and the seconds that each took."""

    deviations: Array
    seconds: Array

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> "Pool":
        """Take what was planted off each launch's log ratio."""
        return cls(
            deviations=np.array([one.log_ratio - log(1 + one.share) for one in observations]),
            seconds=np.array([one.seconds for one in observations]),
        )

    def resampled(self, generator: Generator) -> "Pool":
        """Return as many launches, drawn from these."""
        drawn = generator.choice(self.deviations.size, self.deviations.size)
        return Pool(deviations=self.deviations[drawn], seconds=self.seconds[drawn])

    def draws(
        self, share: float, generator: Generator, spent: list[float] | None = None
    ) -> Iterator[tuple[float, float]]:
        """Give launches of a case that is slower by ``share``, and the seconds so far."""
        total = 0.0
        while True:
            at = generator.integers(self.deviations.size)
            total += float(self.seconds[at])
            if spent is not None:
                spent.append(total)
            yield log(1 + share) + float(generator.choice([-1, 1]) * self.deviations[at]), total


def run_trial(
    pool: Pool, share: float, margin: float, budget: Budget, generator: Generator
) -> Ended:
    """Screen, confirm and control one case that is slower by ``share``."""
    first: list[float] = []
    again: list[float] = []
    screened = sequential_test.screen(pool.draws(share, generator, first), margin, budget.screen_s)
    if screened.is_clear or screened.estimate.ratio <= 1:
        return Ended(is_slower=False, is_clear=screened.is_clear, seconds=first[-1])
    confirmed = sequential_test.confirm(
        pool.draws(share, generator, again), margin, budget.confirm_s
    )
    slower = sequential_test.is_regression(confirmed.estimate, confirmed.p_value, margin)
    if slower:
        null = islice(pool.draws(0.0, generator), confirmed.launches)
        slower = not sequential_test.is_alarm(of_pairs([ratio for ratio, _ in null]), margin)
    return Ended(is_slower=slower, is_clear=confirmed.is_clear, seconds=first[-1] + again[-1])


def gate_rate(pool: Pool, share: float, margin: float, budget: Budget) -> tuple[Rate, float]:
    """Return how often the gate says slower, and the median seconds of its clear passes."""
    generator = np.random.default_rng(SEED)
    rates, seconds = [], []
    for _ in range(OUTER):
        drawn = pool.resampled(generator)
        ended = [run_trial(drawn, share, margin, budget, generator) for _ in range(INNER)]
        rates.append(mean(one.is_slower for one in ended))
        seconds += [one.seconds for one in ended if one.is_clear]
    low, high = np.percentile(rates, [2.5, 97.5])
    count = int(pool.deviations.size)
    rate = Rate(rate=mean(rates), low=float(low), high=float(high), count=count)
    return rate, median(seconds) if seconds else float("nan")


def run_rate(pools: Sequence[Pool], margin: float, budget: Budget) -> Rate:
    """Return how often a run fails that holds a case for each pool and no change at all.

    As a run does: all are screened, the suspects confirmed, Holm's correction over them. The null
    control is left out; it could only lower the rate.
    """
    from scipy.stats import binomtest

    generator = np.random.default_rng(SEED)
    failed = sum(_run_fails(pools, margin, budget, generator) for _ in range(RUNS))
    interval = binomtest(failed, RUNS).proportion_ci()
    return Rate(rate=failed / RUNS, low=interval.low, high=interval.high, count=RUNS)


def _run_fails(pools: Sequence[Pool], margin: float, budget: Budget, generator: Generator) -> bool:
    suspects = []
    for pool in pools:
        screened = sequential_test.screen(pool.draws(0.0, generator), margin, budget.screen_s)
        if not screened.is_clear and screened.estimate.ratio > 1:
            suspects.append(pool)
    trials = [
        sequential_test.confirm(pool.draws(0.0, generator), margin, budget.confirm_s, len(suspects))
        for pool in suspects
    ]
    adjusted = holm({number: one.p_value for number, one in enumerate(trials)})
    return any(
        sequential_test.is_regression(one.estimate, adjusted[number], margin)
        for number, one in enumerate(trials)
    )


def rule_rate(rule: Callable[[Times, Times], bool], pool: Sequence[Observation]) -> Rate:
    """Return how often another tool's rule says slower, with Clopper's and Pearson's interval."""
    from scipy.stats import binomtest

    found = sum(rule(one.base_ns, one.head_ns) for one in pool)
    interval = binomtest(found, len(pool)).proportion_ci()
    return Rate(rate=found / len(pool), low=interval.low, high=interval.high, count=len(pool))


def summary(observations: Sequence[Observation], margin: float, budget: Budget) -> Iterator[str]:
    """Write all that a self-test says."""
    yield from table(observations, margin, budget)
    yield from run_lines(observations, margin, budget)


def table(observations: Sequence[Observation], margin: float, budget: Budget) -> Iterator[str]:
    """Write the rates as Markdown: a table for each case and load."""
    for case_id in dict.fromkeys(one.case_id for one in observations):
        for is_loaded in (False, True):
            of_case = [o for o in observations if (o.case_id, o.is_loaded) == (case_id, is_loaded)]
            launches = sum(one.share == 0 for one in of_case)
            if launches >= sequential_test.FEWEST_TO_CLEAR:
                yield f"\n**{case_id}**, {'all CPUs loaded' if is_loaded else 'no load'}\n"
                yield from _rows(of_case, margin, budget)


def run_lines(observations: Sequence[Observation], margin: float, budget: Budget) -> Iterator[str]:
    """Say how often a run of all these cases fails although nothing changed."""
    for is_loaded in (False, True):
        cases: dict[str, list[Observation]] = {}
        for one in observations:
            if one.is_loaded == is_loaded:
                cases.setdefault(one.case_id, []).append(one)
        if cases:
            rate = run_rate([Pool.of(of_case) for of_case in cases.values()], margin, budget)
            load = "all CPUs loaded" if is_loaded else "no load"
            yield (
                f"\nRuns of {len(cases)} cases without any change that fail, {load}: {rate}, "
                f"of {rate.count} drawn from the launches above"
            )


def _rows(observations: Sequence[Observation], margin: float, budget: Budget) -> Iterator[str]:
    pool = Pool.of(observations)
    scatter = float(pool.deviations.std(ddof=1))
    yield f"{pool.deviations.size} launches, which scatter by {scatter:.2%}\n"
    yield "| planted | measured | gate | clear pass | " + " | ".join(RULES) + " |"
    yield "|---" * (len(RULES) + 4) + "|"
    for share in sorted({one.share for one in observations}):
        planted = [one for one in observations if one.share == share]
        rate, seconds = gate_rate(pool, share, margin, budget)
        measured = exp(mean(one.log_ratio for one in planted)) - 1
        others = " | ".join(f"{rule_rate(rule, planted).rate:.0%}" for rule in RULES.values())
        clear = "none" if np.isnan(seconds) else f"{seconds:.0f} s"
        yield f"| {share:.0%} | {measured:.1%} | {rate} | {clear} | {others} |"


def main(files: Sequence[str]) -> None:
    """Print the tables of one or more ``self-test.json`` together, without measuring."""
    documents = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    observations = [Observation(**one) for made in documents for one in made["observations"]]
    margin, budget = documents[0]["margin"], Budget.of(documents[0]["budget_s"])
    for line in summary(observations, margin, budget):
        print(line)  # noqa: T201  this is what the command is for


if __name__ == "__main__":
    main(sys.argv[1:])
