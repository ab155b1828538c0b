"""Time to accuracy, as MLPerf Training defines it (P. Mattson et al., arXiv 1910.01500).

A run goes from initialisation to a target that was set in advance, each run with another seed. The
score is the mean of the runs' times without the fastest and the slowest. A run that never gets
there is the slowest; with two of them there is no score. Runs are compared in epochs, because a
strategy may be fast but must not converge otherwise than one device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

FEWEST_RUNS = 3  # two are left out
SIGNIFICANCE = 0.05


class Evaluation(NamedTuple):
    """What a run had reached after an epoch, and the clock's reading since its start."""

    epoch: float
    seconds: float
    samples: int
    quality: float  # higher is better


@dataclass(frozen=True, kw_only=True)
class Run:
    """The curve of one run."""

    seed: int
    batch: int
    evaluations: Sequence[Evaluation]

    def reached(self, target: float) -> Evaluation | None:
        """Return the first evaluation at or above ``target``; None: it did not converge."""
        return next((one for one in self.evaluations if one.quality >= target), None)


@dataclass(frozen=True, kw_only=True)
class TimeToAccuracy:
    """The score of several runs; without a score, the reason."""

    target: float
    runs: int
    unconverged: int
    seconds: float | None
    epochs: float | None
    reason: str = ""


def time_to_accuracy(runs: Sequence[Run], target: float) -> TimeToAccuracy:
    """Score runs against a target set in advance.

    Raise ValueError where a seed occurs twice: it is one run, told twice.
    """
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {seeds} repeat: every run needs its own")
    reached = [one for run in runs if (one := run.reached(target)) is not None]
    unconverged = len(runs) - len(reached)
    reason = _why_no_score(len(runs), unconverged)
    return TimeToAccuracy(
        target=target,
        runs=len(runs),
        unconverged=unconverged,
        seconds=None if reason else _olympic([one.seconds for one in reached], unconverged),
        epochs=None if reason else _olympic([one.epoch for one in reached], unconverged),
        reason=reason,
    )


def _why_no_score(runs: int, unconverged: int) -> str:
    if runs < FEWEST_RUNS:
        return f"{runs} runs: {FEWEST_RUNS} are needed, as the fastest and the slowest are left out"
    if unconverged > 1:
        return f"{unconverged} of {runs} runs did not reach the target: one may be left out"
    return ""


def _olympic(values: Sequence[float], unconverged: int) -> float:
    """Return the mean without the least and the most; a run without a value was the most."""
    return fmean(sorted(values)[1 : None if unconverged else -1])


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Epochs to the target beside those of reference runs; ``ratio`` above 1: it needs more."""

    ratio: float
    p_value: float  # two-sided, of Welch's t-test
    unconverged: int
    finding: str  # "" where there is none


def compare_epochs(runs: Sequence[Run], reference: Sequence[Run], target: float) -> Comparison:
    """Hold runs to reference runs: a significant difference either way is a finding.

    Converging too well is one as well: then something else was trained. Runs that did not reach
    the target where all reference runs did are a finding by themselves.
    """
    from scipy.stats import ttest_ind

    ours, theirs = _epochs(runs, target), _epochs(reference, target)
    if min(len(ours), len(theirs)) < 2:  # noqa: PLR2004  a spread
        raise ValueError(f"{len(ours)} and {len(theirs)} runs reached {target}: 2 each are needed")
    ratio = fmean(ours) / fmean(theirs)
    is_constant = len(set(ours)) == len(set(theirs)) == 1
    p_value = (
        float(ratio == 1) if is_constant else float(ttest_ind(ours, theirs, equal_var=False)[1])
    )
    unconverged = len(runs) - len(ours)
    return Comparison(
        ratio=ratio,
        p_value=p_value,
        unconverged=unconverged,
        finding=_finding(ratio, p_value, unconverged, len(reference) - len(theirs)),
    )


def _epochs(runs: Sequence[Run], target: float) -> list[float]:
    return [one.epoch for run in runs if (one := run.reached(target)) is not None]


def _finding(ratio: float, p_value: float, unconverged: int, reference: int) -> str:
    if unconverged and not reference:
        return f"{unconverged} runs did not reach the target, all reference runs did"
    if p_value < SIGNIFICANCE:
        return f"needs {ratio:.2f} of the reference's epochs (p {p_value:.3g})"
    return ""
