"""How often a rule is wrong, and how often it finds what is there, from measured launches.

The gate's rates are those of its own rules (:mod:`hpml_gate.trial`), run over launches drawn with
replacement from the measured ones; their interval is a bootstrap over launches. The rates of other
tools' rules are counted launch by launch: each compares one process with one other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np
import numpy.typing as npt

from hpml_gate import trial
from hpml_gate.statistics import of_pairs

OUTER, INNER = 30, 60  # resampled sets of launches, and trials over each
SEED = 1
BOOTSTRAP = 2000

Times = Sequence[float]
Generator = np.random.Generator
Array = npt.NDArray[np.float64]


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
    if slower:
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


def rule_rate(rule: Callable[[Times, Times], bool], pool: Sequence[Observation]) -> Rate:
    """Return how often another tool's rule says slower, with Clopper's and Pearson's interval."""
    from scipy.stats import binomtest

    found = sum(rule(one.base_ns, one.head_ns) for one in pool)
    interval = binomtest(found, len(pool)).proportion_ci()
    return Rate(rate=found / len(pool), low=interval.low, high=interval.high, count=len(pool))


def pytest_benchmark_mean(base_ns: Times, head_ns: Times) -> bool:
    """``--benchmark-compare-fail=mean:5%``."""
    return mean(head_ns) > 1.05 * mean(base_ns)


def pytest_benchmark_min(base_ns: Times, head_ns: Times) -> bool:
    """``--benchmark-compare-fail=min:5%``."""
    return min(head_ns) > 1.05 * min(base_ns)


def asv(base_ns: Times, head_ns: Times) -> bool:
    """As ``asv continuous``: medians beyond a factor of 1.1, Mann-Whitney p below 0.002."""
    from scipy.stats import mannwhitneyu

    differs = mannwhitneyu(base_ns, head_ns).pvalue < 0.002  # noqa: PLR2004  its own threshold
    return bool(differs) and median(head_ns) > 1.1 * median(base_ns)


def criterion(base_ns: Times, head_ns: Times) -> bool:
    """As criterion.rs: a bootstrapped t-test at 5 %, the mean's interval beyond 1 % of noise."""
    generator = np.random.default_rng(SEED)
    base, head = np.asarray(base_ns), np.asarray(head_ns)
    pooled = np.concatenate([base, head])
    draws = generator.choice(pooled, (BOOTSTRAP, pooled.size))
    null = _t(draws[:, : base.size], draws[:, base.size :])
    p_value = np.mean(np.abs(null) >= abs(_t(base[None], head[None])[0]))
    changes = (
        generator.choice(head, (BOOTSTRAP, head.size)).mean(axis=1)
        / generator.choice(base, (BOOTSTRAP, base.size)).mean(axis=1)
        - 1
    )
    return bool(p_value < 0.05 and np.percentile(changes, 2.5) > 0.01)  # noqa: PLR2004  its own


def _t(base: Array, head: Array) -> Array:
    """Return Welch's t of each row."""
    squared = base.var(axis=1, ddof=1) / base.shape[1] + head.var(axis=1, ddof=1) / head.shape[1]
    return np.asarray((head.mean(axis=1) - base.mean(axis=1)) / np.sqrt(squared))


def tango(base_ns: Times, head_ns: Times) -> bool:
    """As tango: paired differences without outliers, z of 2.6, and half a percent of the mean."""
    differences = np.asarray(head_ns) - np.asarray(base_ns)
    low, high = np.percentile(differences, [25, 75])
    reach = 1.5 * (high - low)
    kept = differences[(differences >= low - reach) & (differences <= high + reach)]
    z = kept.mean() / (kept.std(ddof=1) / np.sqrt(kept.size))
    return bool(z >= 2.6 and kept.mean() > 0.005 * mean(base_ns))  # noqa: PLR2004  its own


RIVALS: Mapping[str, Callable[[Times, Times], bool]] = {
    "pytest-benchmark mean:5%": pytest_benchmark_mean,
    "pytest-benchmark min:5%": pytest_benchmark_min,
    "asv continuous": asv,
    "criterion": criterion,
    "tango": tango,
}


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


def _rows(
    observations: Sequence[Observation], margin: float, budget: trial.Budget
) -> Iterator[str]:
    pools = {
        share: [one for one in observations if one.share == share]
        for share in sorted({one.share for one in observations})
    }
    yield "| planted | launches | scatter | gate | clear pass | " + " | ".join(RIVALS) + " |"
    yield "|---" * (len(RIVALS) + 5) + "|"
    for share, pool in pools.items():
        rate, seconds = gate_rate(pool, pools[0.0], margin, budget)
        scatter = float(np.std([one.log_ratio for one in pool], ddof=1))
        others = " | ".join(f"{rule_rate(rule, pool).rate:.0%}" for rule in RIVALS.values())
        clear = "none" if np.isnan(seconds) else f"{seconds:.0f} s"
        yield f"| {share:.0%} | {len(pool)} | {scatter:.2%} | {rate} | {clear} | {others} |"
