"""The statistics of the gate: pure functions on numbers, distributions by scipy.

Everything is on logarithms of times, and a *launch* (a fresh process, or a fresh pair of them) is
one observation: blocks inside a launch agree with each other more than with the next launch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log
from typing import Any, TypeVar

import numpy as np

Name = TypeVar("Name")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean of logarithms with its standard error and that error's degrees of freedom."""

    log_ratio: float
    error: float
    freedom: float

    @property
    def ratio(self) -> float:
        """The ratio of times."""
        return exp(self.log_ratio)

    @property
    def inverse(self) -> "Estimate":
        """The same, of the ratio turned around."""
        return replace(self, log_ratio=-self.log_ratio)

    def bounds(self, confidence: float) -> tuple[float, float]:
        """Return the two-sided interval of the ratio."""
        tail = (1 - confidence) / 2
        return exp(self._quantile(tail)), exp(self._quantile(1 - tail))

    def upper(self, confidence: float) -> float:
        """Return the bound that the ratio is below with this confidence."""
        return exp(self._quantile(confidence))

    def p_above(self, ratio: float) -> float:
        """Return the one-sided p-value against the ratio being ``ratio`` or less."""
        distance = self.log_ratio - log(ratio)
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(_student().sf(distance / self.error, self.freedom))

    def _quantile(self, share: float) -> float:
        if self.error == 0:
            return self.log_ratio
        return self.log_ratio + float(_student().ppf(share, self.freedom)) * self.error


TRIMMED = 0.2  # of the launches, at either end
FEWEST_TO_TRIM = 10  # fewer have no tails to speak of


def of_pairs(log_ratios: Sequence[float]) -> Estimate:
    """Estimate from paired launches: each gives one log ratio, in which the machine cancels.

    In a few of them it does not: one side was unlucky, by ten times what the others scatter. So
    this is the trimmed mean with the error of the winsorized values (K. K. Yuen, Biometrika 61,
    1974), which Student's t describes even where tails are that heavy.
    """
    values = np.sort(np.asarray(log_ratios))
    cut = int(TRIMMED * values.size) if values.size >= FEWEST_TO_TRIM else 0
    kept = values[cut : values.size - cut]
    winsorized = values.clip(kept[0], kept[-1])
    squares = winsorized.var() * values.size
    return Estimate(
        log_ratio=float(kept.mean()),
        error=float(np.sqrt(squares / (kept.size * (kept.size - 1)))),
        freedom=kept.size - 1,
    )


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How sessions of the same code lie apart on one machine, as a variance of logarithms."""

    variance: float = 0.0
    freedom: float = inf


def of_sessions(
    now: Sequence[float], sessions: Sequence[Sequence[float]], drift: Drift
) -> Estimate:
    """Estimate now over the baseline's sessions, each given by its launches' times.

    The error has two parts. That of the launches is Welch's (B. L. Welch, Biometrika 34, 1947):
    the two sides may scatter differently. That of the sessions, ``drift``, is what a stored
    baseline cannot know of today: it does not shrink with more launches, only with more sessions.
    """
    stored = [np.log(session) for session in sessions]
    level = float(np.mean([one.mean() for one in stored]))
    parts = [_of_mean(np.log(now)), *(_of_mean(one, 1 / len(stored)) for one in stored)]
    parts.append((drift.variance * (1 + 1 / len(stored)), drift.freedom))
    variance = sum(part for part, _ in parts)
    return Estimate(
        log_ratio=float(np.log(now).mean()) - level,
        error=float(np.sqrt(variance)),
        freedom=_satterthwaite(parts, variance),
    )


def drift_of(sessions: Sequence[Sequence[float]], usual: Drift) -> Drift:
    """Estimate the drift of one case, leaning on what is usual on this machine.

    Few sessions say little, so the case's own variance is moderated by the usual one, each
    weighted by its degrees of freedom (G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004).
    """
    own = spread_of(sessions)
    if own.freedom == 0:
        return usual
    trusted = min(usual.freedom, PRIOR_FREEDOM)
    freedom = own.freedom + trusted
    mixed = (own.freedom * own.variance + trusted * usual.variance) / freedom
    return Drift(variance=mixed, freedom=freedom)


PRIOR_FREEDOM = 8.0  # how much the usual drift counts beside a case's own, in sessions


def usual_drift(cases: Sequence[Sequence[Sequence[float]]]) -> Drift:
    """Pool the drift of all cases."""
    known = [one for one in map(spread_of, cases) if one.freedom > 0]
    if not known:
        return Drift()
    return Drift(
        variance=float(np.mean([one.variance for one in known])),
        freedom=sum(one.freedom for one in known),
    )


def spread_of(sessions: Sequence[Sequence[float]]) -> Drift:
    """Return the variance between sessions' means, that of their launches taken off."""
    if len(sessions) < 2:  # noqa: PLR2004  one session says nothing of drift
        return Drift(variance=0.0, freedom=0.0)
    stored = [np.log(session) for session in sessions]
    between = float(np.var([one.mean() for one in stored], ddof=1))
    within = float(np.mean([_of_mean(one)[0] for one in stored]))
    return Drift(variance=max(0.0, between - within), freedom=len(stored) - 1)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Adjust p-values so that any one below a level is a false alarm with at most that chance.

    S. Holm, Scand. J. Statist. 6, 1979: the smallest is multiplied by their number, the next by
    one less, and none may come out smaller than the one before.
    """
    adjusted: dict[Name, float] = {}
    least = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        least = max(least, min(1.0, p_values[name] * (len(p_values) - rank)))
        adjusted[name] = least
    return adjusted


def _of_mean(logs: "np.ndarray[Any, Any]", weight: float = 1.0) -> tuple[float, float]:
    """Return the variance of ``weight`` times a mean, with its degrees of freedom."""
    return float(weight**2 * logs.var(ddof=1) / logs.size), logs.size - 1


def _satterthwaite(parts: Sequence[tuple[float, float]], variance: float) -> float:
    """Return the degrees of freedom of a sum of variances (F. E. Satterthwaite, 1946)."""
    if variance == 0:
        return inf
    return variance**2 / sum(part**2 / freedom for part, freedom in parts if part)


def _student() -> Any:
    from scipy.stats import t  # a third of a second that only a judged run should pay

    return t
