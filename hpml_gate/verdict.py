"""Comparing two sets of launches: pure functions on numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal

import numpy as np

Status = Literal["pass", "slower", "faster", "inconclusive", "new", "incomparable"]

CONFIDENCE = 0.98  # two-sided: a bound is wrong once in a hundred comparisons


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one case: ``ratio`` is now over baseline, ``low`` to ``high`` its interval.

    The three are None where nothing was compared.
    """

    case_id: str
    status: Status
    margin: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def was_judged(self) -> bool:
        """Whether now was compared with a baseline, and the comparison decided something."""
        return self.status in {"pass", "slower", "faster"}

    @property
    def is_suspect(self) -> bool:
        """Whether it looks slower, be that clear or not: worth measuring again."""
        return self.ratio is not None and self.ratio > 1 + self.margin

    def __str__(self) -> str:
        """Say the ratio with its interval and margin."""
        if self.ratio is None:
            return self.status
        return (
            f"{self.ratio:.3f} of the baseline's time "
            f"({CONFIDENCE:.0%} interval {self.low:.3f} to {self.high:.3f}, "
            f"margin {self.margin:.0%})"
        )


def compare(
    case_id: str, now_ns: Sequence[float], baseline_ns: Sequence[float], margin: float
) -> Verdict:
    """Judge launch medians against the baseline's launch medians.

    The ratio is that of the geometric means. Its interval is Welch's for the difference of two
    means of logarithms (B. L. Welch, Biometrika 34, 1947): launches are the replicates, and the
    two sides may scatter differently. ``slower`` needs a ratio beyond ``1 + margin`` and a lower
    bound beyond a third of the margin; ``pass`` needs an upper bound below ``1 + margin``.
    """
    ratio, low, high = _ratio(now_ns, baseline_ns)
    if ratio > 1 + margin and low > 1 + margin / 3:
        status: Status = "slower"
    elif ratio < 1 / (1 + margin) and high < 1 / (1 + margin / 3):
        status = "faster"
    else:
        status = "pass" if high < 1 + margin else "inconclusive"
    return Verdict(case_id=case_id, status=status, margin=margin, ratio=ratio, low=low, high=high)


def is_steady(launch_ns: Sequence[float], margin: float) -> bool:
    """Say whether launches agree well enough to judge by: compared with themselves they pass."""
    return compare("", launch_ns, launch_ns, margin).status == "pass"


def _ratio(now_ns: Sequence[float], baseline_ns: Sequence[float]) -> tuple[float, float, float]:
    """Return the ratio of geometric means and Welch's interval for it."""
    from scipy.stats import t  # a third of a second that only a judged run should pay

    sides = [np.log(now_ns), np.log(baseline_ns)]
    difference = float(sides[0].mean() - sides[1].mean())
    squared_errors = np.array([side.var(ddof=1) / side.size for side in sides])
    half_width = 0.0
    if squared_errors.any():
        freedom = squared_errors.sum() ** 2 / sum(
            error**2 / (side.size - 1) for error, side in zip(squared_errors, sides, strict=True)
        )
        half_width = float(t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(squared_errors.sum()))
    return exp(difference), exp(difference - half_width), exp(difference + half_width)
