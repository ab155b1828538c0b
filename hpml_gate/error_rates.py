"""How often a rule is wrong, and how often it finds what is there, from measured launches.

The gate's rates are those of its own rules (:mod:`hpml_gate.trial`), run over launches drawn with
replacement from the measured ones; their interval is a bootstrap over launches. The rates of other
tools' rules are counted launch by launch: each compares one process with one other.

``python -m hpml_gate.error_rates FILE ...`` prints the tables of one or more ``self-test.json``.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np

from hpml_gate import trial
from hpml_gate.rules import RULES, Times
from hpml_gate.statistics import holm, of_pairs

RUNS = 400  # of a suite without any change
OUTER, INNER = 30, 60  # resampled sets of launches, and trials over each
SEED = 1

Generator = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One launch of a case with one planted share."""

    case_id: str
    is_loaded: bool
    share: float
    log_ratio: float
    seconds: float  # of measuring, that a launch with this share alone would take
    base_ns: Times
    head_ns: Times


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


def run_trial(
    pool: Sequence[Observation],
    null: Sequence[Observation],
    margin: float,
    budget: trial.Budget,
    generator: Generator,
) -> Ended:
    """Screen, confirm and control one case, its launches drawn from ``pool``."""
    spent: list[float] = []
    again: list[float] = []
    screened = trial.screen(_draws(pool, generator, spent), margin, budget.screen_s)
    if screened.is_clear or screened.estimate.ratio <= 1:
        return Ended(is_slower=False, is_clear=screened.is_clear, seconds=spent[-1])
    confirmed = trial.confirm(_draws(pool, generator, again), margin, budget.confirm_s)
    seconds = spent[-1] + again[-1]
    slower = trial.is_regression(confirmed.estimate, confirmed.p_value, margin)
    if slower and null:
        drawn = generator.choice(len(null), confirmed.launches)
        slower = not trial.is_alarm(of_pairs([null[at].log_ratio for at in drawn]), margin)
    return Ended(is_slower=slower, is_clear=confirmed.is_clear, seconds=seconds)


def _draws(
    pool: Sequence[Observation], generator: Generator, spent: list[float]
) -> Iterator[tuple[float, float]]:
    total = 0.0
    while True:
        one = pool[int(generator.integers(len(pool)))]
        total += one.seconds
        spent.append(total)
        yield one.log_ratio, total


def gate_rate(
    pool: Sequence[Observation], null: Sequence[Observation], margin: float, budget: trial.Budget
) -> tuple[Rate, float]:
    """Return how often the gate says slower, and the median seconds of its clear passes."""
    generator = np.random.default_rng(SEED)
    rates, seconds = [], []
    for _ in range(OUTER):
        drawn = [pool[at] for at in generator.choice(len(pool), len(pool))]
        ended = [run_trial(drawn, null, margin, budget, generator) for _ in range(INNER)]
        rates.append(mean(one.is_slower for one in ended))
        seconds += [one.seconds for one in ended if one.is_clear]
    low, high = np.percentile(rates, [2.5, 97.5])
    rate = Rate(rate=mean(rates), low=float(low), high=float(high), count=len(pool))
    return rate, median(seconds) if seconds else float("nan")


def run_rate(pools: Sequence[Sequence[Observation]], margin: float, budget: trial.Budget) -> Rate:
    """Return how often a run fails that holds a case for each pool and no change at all.

    As a run does: all are screened, the suspects confirmed, Holm's correction over them. There is no
    null control here, which could only lower the rate.
    """
    from scipy.stats import binomtest

    generator = np.random.default_rng(SEED)
    failed = sum(_run_fails(pools, margin, budget, generator) for _ in range(RUNS))
    interval = binomtest(failed, RUNS).proportion_ci()
    return Rate(rate=failed / RUNS, low=interval.low, high=interval.high, count=RUNS)


def _run_fails(
    pools: Sequence[Sequence[Observation]],
    margin: float,
    budget: trial.Budget,
    generator: Generator,
) -> bool:
    screened = [
        trial.screen(_draws(pool, generator, []), margin, budget.screen_s) for pool in pools
    ]
    suspects = {
        case: pools[case]
        for case, one in enumerate(screened)
        if not one.is_clear and one.estimate.ratio > 1
    }
    trials = {
        case: trial.confirm(_draws(pool, generator, []), margin, budget.confirm_s, len(suspects))
        for case, pool in suspects.items()
    }
    adjusted = holm({case: one.p_value for case, one in trials.items()})
    return any(
        trial.is_regression(one.estimate, adjusted[case], margin) for case, one in trials.items()
    )


def rule_rate(rule: Callable[[Times, Times], bool], pool: Sequence[Observation]) -> Rate:
    """Return how often another tool's rule says slower, with Clopper's and Pearson's interval."""
    from scipy.stats import binomtest

    found = sum(rule(one.base_ns, one.head_ns) for one in pool)
    interval = binomtest(found, len(pool)).proportion_ci()
    return Rate(rate=found / len(pool), low=interval.low, high=interval.high, count=len(pool))


def summary(
    observations: Sequence[Observation], margin: float, budget: trial.Budget
) -> Iterator[str]:
    """Write all that a self-test says."""
    yield from table(observations, margin, budget)
    yield from run_lines(observations, margin, budget)


def table(
    observations: Sequence[Observation], margin: float, budget: trial.Budget
) -> Iterator[str]:
    """Write the rates as Markdown: a table for each case and load."""
    for case_id in dict.fromkeys(one.case_id for one in observations):
        for is_loaded in (False, True):
            of_case = [o for o in observations if (o.case_id, o.is_loaded) == (case_id, is_loaded)]
            launches = sum(one.share == 0 for one in of_case)
            if launches >= trial.FEWEST_TO_CLEAR:
                yield f"\n**{case_id}**, {'all CPUs loaded' if is_loaded else 'no load'}\n"
                yield from _rows(of_case, margin, budget)


def run_lines(
    observations: Sequence[Observation], margin: float, budget: trial.Budget
) -> Iterator[str]:
    """Say how often a run of all these cases fails although nothing changed."""
    for is_loaded in (False, True):
        pools: dict[str, list[Observation]] = {}
        for one in observations:
            if one.share == 0 and one.is_loaded == is_loaded:
                pools.setdefault(one.case_id, []).append(one)
        usable = [pool for pool in pools.values() if len(pool) >= trial.FEWEST_TO_CLEAR]
        if usable:
            rate = run_rate(usable, margin, budget)
            load = "all CPUs loaded" if is_loaded else "no load"
            yield (
                f"\nRuns of {len(usable)} cases without any change that fail, {load}: {rate}, "
                f"of {rate.count} drawn from the launches above"
            )


def _rows(
    observations: Sequence[Observation], margin: float, budget: trial.Budget
) -> Iterator[str]:
    pools = {
        share: [one for one in observations if one.share == share]
        for share in sorted({one.share for one in observations})
    }
    yield "| planted | launches | scatter | gate | clear pass | " + " | ".join(RULES) + " |"
    yield "|---" * (len(RULES) + 5) + "|"
    for share, pool in pools.items():
        # Launches that control themselves would raise no alarm, whatever they say.
        null = pools[0.0] if share else []
        rate, seconds = gate_rate(pool, null, margin, budget)
        scatter = float(np.std([one.log_ratio for one in pool], ddof=1))
        others = " | ".join(f"{rule_rate(rule, pool).rate:.0%}" for rule in RULES.values())
        clear = "none" if np.isnan(seconds) else f"{seconds:.0f} s"
        yield f"| {share:.0%} | {len(pool)} | {scatter:.2%} | {rate} | {clear} | {others} |"


def main(files: Sequence[str]) -> None:
    """Print the tables of one or more ``self-test.json`` together, without measuring."""
    documents = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    observations = [Observation(**one) for made in documents for one in made["observations"]]
    margin, budget = documents[0]["margin"], trial.Budget.of(documents[0]["budget_s"])
    for line in summary(observations, margin, budget):
        print(line)  # noqa: T201  this is what the command is for


if __name__ == "__main__":
    main(sys.argv[1:])
