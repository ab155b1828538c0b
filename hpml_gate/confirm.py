"""Confirming the suspects of a run: measured anew in pairs, judged together, controlled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from hpml_gate import trial
from hpml_gate.checkout import BaseError
from hpml_gate.launch import LaunchError, Side
from hpml_gate.paired import launcher_of
from hpml_gate.pairs import Pair, disturbances_of, log_ratios
from hpml_gate.progress import Progress
from hpml_gate.session import GateSession, Suspect
from hpml_gate.statistics import holm, of_pairs
from hpml_gate.stored import measure_alone
from hpml_gate.verdict import Verdict, explained, of_trial, undecided


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The launches that confirm, or do not confirm, one suspect."""

    suspect: Suspect
    pairs: Sequence[Pair]
    outcomes: Mapping[str, trial.Outcome]  # by metric, of those that look slower


def confirm_suspects(gate: GateSession, progress: Progress) -> None:
    """Measure every suspect of the run anew, in pairs, and judge them all together."""
    suspects = list(gate.suspects.values())
    hypotheses = sum(len(one.screened) for one in suspects)
    trials = []
    for suspect in suspects:
        try:
            trials.append(_try(gate, suspect, hypotheses, progress))
        except (BaseError, LaunchError) as error:
            gate.replace(suspect, _unconfirmed(error, gate, suspect, progress))
        finally:
            progress.clear()
    adjusted = holm(
        {
            (one.suspect.case.id, metric): outcome.p_value
            for one in trials
            for metric, outcome in one.outcomes.items()
        }
    )
    for one in trials:
        gate.pairs[one.suspect.case.id] = one.pairs
        gate.replace(one.suspect, _verdicts(gate, one, adjusted, progress))


def _try(gate: GateSession, suspect: Suspect, hypotheses: int, progress: Progress) -> Trial:
    """Launch until the first of what looks slower is decided; the others are judged with it."""
    launcher = launcher_of(
        gate, suspect.case, gate.bases.side(suspect.commit), Side(), progress, ", to confirm"
    )
    first, *others = suspect.screened
    budget_s = gate.settings.budget.confirm_s
    draws = launcher.draws(first.metric)
    outcomes = {first.metric: trial.confirm(draws, first.margin, budget_s, hypotheses)}
    for one in others:
        logs = log_ratios(launcher.pairs, one.metric)
        outcomes[one.metric] = trial.outcome_of(logs, one.margin, hypotheses)
    return Trial(suspect=suspect, pairs=launcher.pairs, outcomes=outcomes)


def _verdicts(
    gate: GateSession, one: Trial, adjusted: Mapping[tuple[str, str], float], progress: Progress
) -> list[Verdict]:
    case_id = one.suspect.case.id
    made = [
        of_trial(
            case_id,
            one.outcomes[screened.metric],
            adjusted[case_id, screened.metric],
            screened.margin,
            screened.metric,
        )
        for screened in one.suspect.screened
    ]
    controlled = [_controlled(gate, one, verdict, progress) for verdict in made]
    return [explained(verdict, disturbances_of(one.pairs)) for verdict in controlled]


def _unconfirmed(
    error: BaseError | LaunchError, gate: GateSession, suspect: Suspect, progress: Progress
) -> list[Verdict]:
    """Judge a suspect that pairs could not: by a second set of launches, if it had a baseline."""
    reason = f"not confirmed in pairs: {error}"
    on_base = isinstance(error, BaseError) or error.side == "base"
    if on_base and not gate.is_paired:
        try:
            why = ", again: not to be confirmed in pairs"
            samples = measure_alone(gate, suspect.case, progress, why)
            return [replace(one, reason=reason) for one in gate.judge(suspect.case, samples)]
        except LaunchError as second:
            error, on_base = second, False
    if isinstance(error, LaunchError) and not on_base:
        gate.broken[suspect.case.test] = f"{error.status}: {suspect.case.id}: {error}"
    return [undecided(one, reason) for one in suspect.screened]


def _controlled(gate: GateSession, one: Trial, verdict: Verdict, progress: Progress) -> Verdict:
    """Run base against base as often: if that raises an alarm too, the machine is what changed."""
    if verdict.status != "slower":
        return verdict
    base = gate.bases.side(one.suspect.commit)
    launcher = launcher_of(gate, one.suspect.case, base, base, progress, ", null control")
    try:
        draws = islice(launcher.draws(verdict.metric), len(one.pairs))
        null = of_pairs([ratio for ratio, _ in draws])
    except LaunchError as error:
        return undecided(verdict, f"the null control failed: {error}")
    finally:
        progress.clear()
    if not trial.is_alarm(null, verdict.margin):
        return verdict
    return undecided(verdict, f"base against base gave {null.ratio:.3f} in as many launches")
