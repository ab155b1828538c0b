"""Judging in pairs: dear, and exact on a machine that is not. Both sides run here and now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

from hpml_gate import trial
from hpml_gate.case import Case
from hpml_gate.checkout import BaseError
from hpml_gate.diagnostics import Disturbance
from hpml_gate.launch import LaunchError, Side
from hpml_gate.pairs import Launcher, Pair
from hpml_gate.progress import Progress
from hpml_gate.samples import Samples
from hpml_gate.session import GateSession, Suspect
from hpml_gate.statistics import holm, of_pairs
from hpml_gate.stored import measure_alone
from hpml_gate.verdict import (
    TIME,
    Status,
    Verdict,
    explained,
    of_screening,
    of_trial,
    unjudged,
)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The launches that confirm, or do not confirm, one suspect."""

    suspect: Suspect
    pairs: Sequence[Pair]
    outcomes: dict[str, trial.Outcome]  # by metric; the time is one of them


def measure_and_judge(
    gate: GateSession, case: Case, progress: Progress
) -> tuple[Samples, list[Verdict]]:
    """Screen a case against the run's base commit; what is not clear becomes a suspect.

    Raises :class:`~hpml_gate.launch.LaunchError` if the head fails; a base that does leaves the
    case ``new`` (it lacks it) or ``incomparable``.
    """
    margin = gate.settings.margin_of(case, paired=True)
    try:
        base = gate.bases.side(gate.base_commit)
        launcher = _launcher(gate, case, base, Side(), progress, "")
        outcome = trial.screen(launcher.draws(), margin, gate.settings.budget.screen_s)
    except (BaseError, LaunchError) as error:
        return _without_base(error, gate, case, progress)
    finally:
        progress.clear()
    verdict = of_screening(case.id, outcome, margin)
    verdicts = [verdict, *_screened_metrics(case, launcher.pairs)]
    gate.pairs[case.id] = launcher.pairs
    if any(_is_suspicious(one) for one in verdicts):
        gate.suspects[case.test] = Suspect(case=case, commit=gate.base_commit, screened=verdict)
    samples = Samples.of(case.id, [pair.head for pair in launcher.pairs])
    return samples, [explained(one, _disturbances(launcher.pairs)) for one in verdicts]


def confirm_suspects(gate: GateSession, progress: Progress) -> None:
    """Measure every suspect of the run anew, in pairs, and judge them all together."""
    trials = []
    for suspect in list(gate.suspects.values()):
        try:
            trials.append(_try(gate, suspect, progress))
        except (BaseError, LaunchError) as error:
            gate.replace(suspect, _unconfirmed(error, gate, suspect, progress))
        finally:
            progress.clear()
    p_values = {
        f"{one.suspect.case.id} {metric}": outcome.p_value
        for one in trials
        for metric, outcome in one.outcomes.items()
    }
    adjusted = holm(p_values)
    for one in trials:
        gate.pairs[one.suspect.case.id] = one.pairs
        gate.replace(one.suspect, _verdicts(gate, one, adjusted, progress))


def _try(gate: GateSession, suspect: Suspect, progress: Progress) -> Trial:
    base = gate.bases.side(suspect.commit)
    launcher = _launcher(gate, suspect.case, base, Side(), progress, ", to confirm")
    margin = gate.settings.margin_of(suspect.case, paired=True)
    outcome = trial.confirm(launcher.draws(), margin, gate.settings.budget.confirm_s)
    metrics = {name: _outcome_of(ratios) for name, ratios in _metrics(launcher.pairs).items()}
    return Trial(suspect=suspect, pairs=launcher.pairs, outcomes={TIME: outcome, **metrics})


def _verdicts(
    gate: GateSession, one: Trial, adjusted: dict[str, float], progress: Progress
) -> list[Verdict]:
    case = one.suspect.case
    margins = {TIME: gate.settings.margin_of(case, paired=True), **_margins(one.pairs)}
    made = [
        of_trial(case.id, outcome, adjusted[f"{case.id} {metric}"], margins[metric], metric)
        for metric, outcome in one.outcomes.items()
    ]
    if any(verdict.status == "slower" and verdict.metric == TIME for verdict in made):
        made = [_controlled(gate, one, verdict, progress) for verdict in made]
    return [explained(verdict, _disturbances(one.pairs)) for verdict in made]


def _unconfirmed(
    error: BaseError | LaunchError, gate: GateSession, suspect: Suspect, progress: Progress
) -> list[Verdict]:
    """Judge a suspect that pairs could not: by a second set of launches, if it had a baseline."""
    reason = f"not confirmed in pairs: {error}"
    if isinstance(error, LaunchError) and error.side != "base":
        gate.broken[suspect.case.test] = f"{error.status}: {suspect.case.id}: {error}"
    if gate.is_paired or suspect.case.test in gate.broken:
        return [replace(suspect.screened, status="inconclusive", reason=reason)]
    samples = measure_alone(gate, suspect.case, progress, ", again: not to be confirmed in pairs")
    return [replace(one, reason=reason) for one in gate.judge(suspect.case, samples)]


def _controlled(gate: GateSession, one: Trial, verdict: Verdict, progress: Progress) -> Verdict:
    """Run base against base as often: if that raises an alarm too, the machine is what changed."""
    if verdict.status != "slower" or verdict.metric != TIME:
        return verdict
    base = gate.bases.side(one.suspect.commit)
    launcher = _launcher(gate, one.suspect.case, base, base, progress, ", null control")
    try:
        null = [ratio for ratio, _ in zip(launcher.draws(), range(len(one.pairs)), strict=False)]
    finally:
        progress.clear()
    estimate = of_pairs([ratio for ratio, _ in null])
    if not trial.is_alarm(estimate, verdict.margin):
        return verdict
    reason = f"base against base gave {estimate.ratio:.3f} in as many launches"
    return replace(verdict, status="inconclusive", reason=reason)


def _without_base(
    error: BaseError | LaunchError, gate: GateSession, case: Case, progress: Progress
) -> tuple[Samples, list[Verdict]]:
    """Where only the base fails, measure the head alone: it must work, and its times are kept."""
    if isinstance(error, LaunchError) and error.side != "base":
        raise error
    lacking = isinstance(error, BaseError) or error.status == "lacking"
    status: Status = "new" if lacking else "incomparable"
    reason = f"the base {'lacks it' if lacking else 'fails'} ({error})"
    samples = measure_alone(gate, case, progress)
    return samples, [unjudged(case.id, status, gate.settings.margin_of(case, paired=True), reason)]


def _launcher(  # noqa: PLR0913  what is measured, where, and what is said meanwhile
    gate: GateSession, case: Case, base: Side, head: Side, progress: Progress, why: str
) -> Launcher:
    return Launcher(
        base=base,
        head=head,
        order=case.order,
        cpus=case.cpus,
        timeout_s=gate.settings.timeout_s,
        progress=lambda number: progress(f"{case.id}  paired launch {number}{why}"),
    )


def _is_suspicious(verdict: Verdict) -> bool:
    """Say whether it is worth confirming; what looks faster is at most undecided."""
    looks_worse = verdict.ratio is not None and verdict.ratio > 1
    return verdict.status == "slower" or (verdict.status == "inconclusive" and looks_worse)


def _screened_metrics(case: Case, pairs: Sequence[Pair]) -> list[Verdict]:
    margins = _margins(pairs)
    outcomes = {name: _outcome_of(ratios) for name, ratios in _metrics(pairs).items()}
    return [
        of_trial(case.id, outcome, outcome.p_value, margins[name], name)
        for name, outcome in outcomes.items()
    ]


def _outcome_of(log_ratios: Sequence[float]) -> trial.Outcome:
    estimate = of_pairs(log_ratios)
    return trial.Outcome(
        estimate=estimate, launches=len(log_ratios), is_clear=False, p_value=estimate.p_above(1.0)
    )


def _metrics(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """Return each second metric's log ratios by launch, signed so that more is worse."""
    names = pairs[0].head.metrics.keys() & pairs[0].base.metrics.keys()
    return {
        name: [
            (1 if pair.head.metrics[name].better == "lower" else -1)
            * log(pair.head.metrics[name].value / pair.base.metrics[name].value)
            for pair in pairs
        ]
        for name in sorted(names)
    }


def _margins(pairs: Sequence[Pair]) -> dict[str, float]:
    return {name: metric.margin for name, metric in pairs[0].head.metrics.items()}


def _disturbances(pairs: Sequence[Pair]) -> list[Disturbance]:
    return [side.disturbance for pair in pairs for side in (pair.base, pair.head)]
