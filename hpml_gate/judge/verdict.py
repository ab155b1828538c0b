"""What becomes of a case: three ways to be judged and four not to be. Pure functions on numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hpml_gate.judge.sequential_test import CLEAR, Outcome, is_regression
from hpml_gate.judge.statistics import Drift, Estimate, of_sessions
from hpml_gate.measure import disturbance
from hpml_gate.measure.disturbance import Disturbance
from hpml_gate.protocol import TIME

Status = Literal["pass", "slower", "faster", "inconclusive", "new", "incomparable"]

CONFIDENCE = 0.98  # of the intervals that are shown
UNSTEADY = "the baseline's own launches scatter: only recording it anew (--gate record) helps"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one case, or of a second metric of it.

    ``ratio`` is now over baseline (head over base), ``low`` to ``high`` its interval; the three
    are None where nothing was compared. For a metric of which more is better they are inverted:
    above 1 is always worse. ``reason`` says why, where that is not in the numbers.
    """

    case_id: str
    status: Status
    margin: float
    metric: str = TIME
    against: str = "baseline"
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        """What it is shown as: the case, and the metric if that is not the time."""
        return self.case_id if self.metric == TIME else f"{self.case_id} [{self.metric}]"

    @property
    def was_judged(self) -> bool:
        """Whether it was compared, and the comparison decided something."""
        return self.status in {"pass", "slower", "faster"}

    def __str__(self) -> str:
        """Say the ratio with its interval and margin."""
        if self.ratio is None:
            return f"{self.status}: {self.reason}" if self.reason else self.status
        return (
            f"{self.ratio:.3f} of the {self.against}'s {self.metric} "
            f"({CONFIDENCE:.0%} interval {self.low:.3f} to {self.high:.3f}, "
            f"margin {self.margin:.0%})"
        )


def unjudged(
    case_id: str, status: Status, margin: float, reason: str = "", metric: str = TIME
) -> Verdict:
    """Return the verdict on what could not be compared."""
    reason = " ".join(reason.split())
    return Verdict(case_id=case_id, status=status, margin=margin, reason=reason, metric=metric)


def against_sessions(  # noqa: PLR0913  what is compared, and how
    case_id: str,
    now: Sequence[float],
    sessions: Sequence[Sequence[float]],
    *,
    margin: float,
    drift: Drift | None = None,
    metric: str = TIME,
) -> Verdict:
    """Judge launches against those of a stored baseline's sessions.

    ``slower`` needs a ratio beyond ``1 + margin`` and a lower bound beyond a third of the margin;
    ``pass`` needs an upper bound below ``1 + margin``.
    """
    estimate = of_sessions(now, sessions, drift or Drift())
    verdict = _verdict(case_id, _status(estimate, margin), margin, estimate, metric, "baseline")
    if verdict.status == "inconclusive" and not all(is_steady(one, margin) for one in sessions):
        return replace(verdict, reason=UNSTEADY)
    return verdict


def of_screening(case_id: str, outcome: Outcome, margin: float, metric: str = TIME) -> Verdict:
    """Judge paired launches that are to say only whether a case is clear: never ``slower``."""
    estimate = outcome.estimate
    status = _clear_status(estimate, margin) if outcome.is_clear else "inconclusive"
    return _verdict(case_id, status, margin, estimate, metric)


def of_trial(
    case_id: str,
    outcome: Outcome,
    adjusted_p: float,
    margin: float,
    metric: str = TIME,
) -> Verdict:
    """Judge the launches that confirm a suspect; ``adjusted_p`` is Holm's over all of them.

    A second metric must be beyond its margin, too: it may not scatter at all.
    """
    estimate = outcome.estimate
    beyond = metric == TIME or estimate.ratio > 1 + margin
    if beyond and is_regression(estimate, adjusted_p, margin):
        status: Status = "slower"
    elif estimate.upper(CLEAR) < 1 + margin:
        status = _clear_status(estimate, margin)
    else:
        status = "inconclusive"
    return _verdict(case_id, status, margin, estimate, metric)


def explained(verdict: Verdict, disturbances: Sequence[Disturbance]) -> Verdict:
    """Name what disturbed the launches of an inconclusive verdict."""
    if verdict.status != "inconclusive":
        return verdict
    reasons = [verdict.reason, disturbance.name(disturbances)]
    return replace(verdict, reason="; ".join(one for one in reasons if one))


def undecided(verdict: Verdict, reason: str) -> Verdict:
    """Return the verdict on a suspect that could not be confirmed."""
    return replace(verdict, status="inconclusive", reason=" ".join(reason.split()))


def is_steady(launches: Sequence[float], margin: float) -> bool:
    """Whether launches agree well enough to judge by: compared with themselves they pass."""
    return _status(of_sessions(launches, [launches], Drift()), margin) == "pass"


def _status(estimate: Estimate, margin: float) -> Status:
    low, high = estimate.bounds(CONFIDENCE)
    if estimate.ratio > 1 + margin and low > 1 + margin / 3:
        return "slower"
    if estimate.ratio < 1 / (1 + margin) and high < 1 / (1 + margin / 3):
        return "faster"
    return "pass" if high < 1 + margin else "inconclusive"


def _clear_status(estimate: Estimate, margin: float) -> Status:
    return "faster" if estimate.upper(CONFIDENCE) < 1 / (1 + margin / 3) else "pass"


def _verdict(  # noqa: PLR0913  one argument per field that differs
    case_id: str,
    status: Status,
    margin: float,
    estimate: Estimate,
    metric: str = TIME,
    against: str = "base",
) -> Verdict:
    low, high = estimate.bounds(CONFIDENCE)
    return Verdict(
        case_id=case_id,
        status=status,
        margin=margin,
        metric=metric,
        against=against,
        ratio=estimate.ratio,
        low=low,
        high=high,
    )
