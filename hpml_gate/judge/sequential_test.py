"""When to stop measuring pairs, and what they then say: rules without a clock or a process.

A case is *screened* until it is clearly no slower, or its time is spent; what is not clear then
is a suspect. A suspect is *confirmed* in fresh launches, its screening discarded. Two conditions
make a regression, because two promises are kept:

- the p-value against "no change", corrected by Holm for all suspects of the run, is at most
  :data:`FALSE_ALARM`: that is the chance that a run without any change fails;
- the lower bound is above a third of the margin: what is slower by less than that fails in at
  most :data:`TOO_SMALL` of the runs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hpml_gate.judge.statistics import Estimate, of_pairs

FALSE_ALARM = 0.01
TOO_SMALL = 0.05
CLEAR = 0.98  # confidence of a clear pass: the bound looked at after each launch
# Spent on looks before the end, and what each of them needs (J. L. Haybittle, Br. J. Radiol. 44,
# 1971; R. Peto et al., Br. J. Cancer 34, 1976).
EARLY, EARLY_LOOK = 0.0005, 0.00005
FEWEST_TO_CLEAR = 4
FEWEST_TO_STOP_EARLY = 6
MOST_LAUNCHES = 100  # more would say no more of a step that takes no time


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the launches of a trial gave."""

    estimate: Estimate
    launches: int
    is_clear: bool  # a pass beyond doubt
    p_value: float  # against no change; valid although it was looked at before the end


Draws = Iterable[tuple[float, float]]
"""For each launch its log ratio, and the seconds of measuring so far."""


def screen(draws: Draws, margin: float, budget_s: float) -> Outcome:
    """Draw launches until they are clear or ``budget_s`` is spent."""
    return _run(draws, margin, budget_s, lambda so_far: is_clear(so_far, margin))


def confirm(draws: Draws, margin: float, budget_s: float, suspects: int = 1) -> Outcome:
    """Draw launches until they are clear, slower beyond doubt, or ``budget_s`` is spent.

    What may be spent on early looks is shared by all ``suspects`` of the run.
    """
    return _run(
        draws,
        margin,
        budget_s,
        lambda so_far: is_clear(so_far, margin) or _is_early(so_far, margin, suspects),
        suspects,
    )


def is_regression(estimate: Estimate, adjusted_p: float, margin: float) -> bool:
    """Whether both conditions hold."""
    return adjusted_p <= FALSE_ALARM and estimate.p_above(1 + margin / 3) <= TOO_SMALL


def is_alarm(null: Estimate, margin: float) -> bool:
    """Whether base against base would be called a regression, the one way or the other."""
    return any(
        is_regression(estimate, estimate.p_above(1.0), margin) for estimate in (null, null.inverse)
    )


def is_clear(so_far: Sequence[float], margin: float) -> bool:
    """Whether a slowdown of half the margin can be ruled out."""
    if len(so_far) < FEWEST_TO_CLEAR:
        return False
    return of_pairs(so_far).upper(CLEAR) < 1 + margin / 2


def _is_early(so_far: Sequence[float], margin: float, suspects: int) -> bool:
    if len(so_far) < FEWEST_TO_STOP_EARLY:
        return False
    return of_pairs(so_far).p_above(1 + margin / 3) < EARLY_LOOK / suspects


def _run(
    draws: Draws,
    margin: float,
    budget_s: float,
    is_over: Callable[[Sequence[float]], bool],
    suspects: int = 1,
) -> Outcome:
    so_far: list[float] = []
    for log_ratio, spent_s in draws:
        so_far.append(log_ratio)
        enough = len(so_far) >= FEWEST_TO_CLEAR
        spent = spent_s * (1 + 1 / len(so_far)) > budget_s or len(so_far) >= MOST_LAUNCHES
        if is_over(so_far) or (enough and spent):
            break
    return outcome_of(so_far, margin, suspects)


def outcome_of(log_ratios: Sequence[float], margin: float, suspects: int = 1) -> Outcome:
    """Put together what launches gave that may have been looked at before the end."""
    estimate = of_pairs(log_ratios)
    return Outcome(
        estimate=estimate,
        launches=len(log_ratios),
        is_clear=is_clear(log_ratios, margin),
        p_value=min(1.0, estimate.p_above(1.0) + EARLY / suspects),
    )
