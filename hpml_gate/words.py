"""Numbers and verdicts as people read them: the same words in terminal, comment and pictures."""

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10

from hpml_gate.record import Case, Run, Verdict

WORST_FIRST = (
    "slower",
    "missing",
    "incorrect",
    "error",
    "oom",
    "timeout",
    "inconclusive",
    "incomparable",
    "new",
    "faster",
    "pass",
    "no_data",
    "no_hardware",
    "unsupported",
    "skipped",
)
UNITS = ((1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s"))
TICKS = 6  # about so many on an axis
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 16


def time_in_words(ns: float) -> str:
    """Write a time in the unit that suits it."""
    factor, unit = max(one for one in UNITS if one[0] <= max(1.0, ns))
    return f"{ns / factor:.4g} {unit}"


def round_ticks(lowest: float, highest: float) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) in a range."""
    rough = (highest - lowest) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough)
    first, last = ceil(lowest / step), floor(highest / step)
    return [number * step for number in range(first, last + 1)]


def verdict_in_words(verdict: Verdict | None) -> str:
    """Write a verdict with its numbers."""
    if verdict is None:
        return "measured, not judged"
    if verdict.ratio is None or verdict.low is None or verdict.high is None:
        reason = verdict.reason or (
            "no baseline to compare with" if verdict.status == "new" else ""
        )
        return f"{verdict.status}: {reason}" if reason else verdict.status
    return (
        f"{verdict.status}: {verdict.ratio:.3f} of the {verdict.against}'s {verdict.metric} "
        f"({verdict.low:.3f} to {verdict.high:.3f}, margin {verdict.margin:.0%})"
    )


def sparkline(values: Sequence[float]) -> str:
    """Draw one bar per value (the last few), lowest to highest."""
    shown = values[-MOST_BARS:]
    lowest, highest = min(shown), max(shown)
    span = (highest - lowest) or 1.0
    return "".join(BARS[round((one - lowest) / span * (len(BARS) - 1))] for one in shown)


def states(run: Run) -> list[tuple[Case, Verdict | None, str]]:
    """Return what is shown of a run, worst first: each case, its verdict if any, its state.

    A second metric is shown where it did not pass. The state of what was not measured, or failed
    by itself, is its status.
    """
    found: list[tuple[Case, Verdict | None, str]] = []
    for case in run.cases:
        if case.status != "ok" or not case.verdicts:
            found.append((case, None, case.status))
        if case.status == "ok":
            found += [(case, one, one.status) for one in case.verdicts if _is_shown(case, one)]
    return sorted(found, key=_badness)


def _is_shown(case: Case, verdict: Verdict) -> bool:
    return verdict is case.verdict or verdict.status != "pass"


def _badness(one: tuple[Case, Verdict | None, str]) -> tuple[int, float, str]:
    case, verdict, state = one
    ratio = verdict.ratio if verdict and verdict.ratio else 0.0
    rank = WORST_FIRST.index(state) if state in WORST_FIRST else len(WORST_FIRST)
    return rank, -ratio, case.case_id


def counted(names: Iterable[str]) -> str:
    """Count states, worst first: ``1 slower, 3 pass``."""
    given = [*names]
    rest = [name for name in dict.fromkeys(given) if name not in WORST_FIRST]
    return ", ".join(
        f"{given.count(name)} {name}" for name in [*WORST_FIRST, *rest] if name in given
    )


SCATTER = (
    "launches scatter too much to rule out a regression or to call one; a quieter machine or more "
    "launches (--gate-launches, --gate-budget) would tell"
)


def reason_of(case: Case, verdict: Verdict | None) -> str:
    """Return why a case has the state that it has, where that is not in its numbers."""
    if verdict is None:
        return case.reason
    if verdict.status == "inconclusive":
        return verdict.reason or SCATTER
    return verdict.reason


def sides_in_words(run: Run) -> str:
    """Return what the times of a run are compared with."""
    if run.base is not None:
        name = f"{run.base.branch} " if run.base.branch else ""
        return f"base {name}{run.base.id[:12]}"
    kinds = {case.measurement.comparison.kind for case in run.cases
             if case.measurement and case.measurement.comparison}  # fmt: skip
    if not kinds:
        return "nothing: there was no baseline"
    stored = "this machine's stored baselines"
    return f"{stored}, suspects with their baselines' commits" if "base" in kinds else stored
