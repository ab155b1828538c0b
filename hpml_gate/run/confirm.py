"""Confirming the suspects of a run: measured anew in pairs, judged together, controlled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from hpml_gate.judge.sequential_test import Outcome, confirm, is_alarm, outcome_of
from hpml_gate.judge.statistics import holm, of_pairs
from hpml_gate.judge.verdict import Verdict, explained, of_trial, undecided
from hpml_gate.measure.launch import LaunchError, Side
from hpml_gate.measure.paired import Launcher, Pair, disturbances_of, log_ratios
from hpml_gate.run.against_base import launcher_of, with_proof
from hpml_gate.run.against_baseline import measure_alone
from hpml_gate.run.progress import Progress
from hpml_gate.run.repository import BaseError
from hpml_gate.run.session import GateSession, MeasuredCase, Suspect


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The launches that confirm, or do not confirm, one suspect."""

    measured: MeasuredCase
    suspect: Suspect
    pairs: Sequence[Pair]
    outcomes: Mapping[str, Outcome]  # by metric, of those that look slower


def confirm_suspects(gate: GateSession, progress: Progress) -> None:
    """Measure every suspect of the run anew, in pairs, and judge them all together."""
    suspects = [(one, one.suspect) for one in gate.suspects if one.suspect]
    hypotheses = sum(len(suspect.screened) for _, suspect in suspects)
    confirmations = []
    for measured, suspect in suspects:
        try:
            confirmations.append(_confirm(gate, measured, suspect, hypotheses, progress))
        except (BaseError, LaunchError) as error:
            measured.resolve(_unconfirmed(error, gate, measured, suspect, progress))
        finally:
            progress.clear()
    adjusted = holm(
        {
            (one.measured.case.id, metric): outcome.p_value
            for one in confirmations
            for metric, outcome in one.outcomes.items()
        }
    )
    for one in confirmations:
        one.measured.pairs, one.measured.pairs_commit = one.pairs, one.suspect.commit
        one.measured.resolve(_verdicts(gate, one, adjusted, progress))


def _confirm(
    gate: GateSession,
    measured: MeasuredCase,
    suspect: Suspect,
    hypotheses: int,
    progress: Progress,
) -> Confirmation:
    """Launch until the first of what looks slower is decided; the others are judged with it."""
    first, *others = suspect.screened

    def confirm_first(base: Side, head: Side) -> tuple[Launcher, Outcome]:
        launcher = launcher_of(gate, measured.case, base, head, progress, ", to confirm")
        draws, budget_s = launcher.draws(first.metric), gate.settings.budget.confirm_s
        return launcher, confirm(draws, first.margin, budget_s, hypotheses)

    launcher, outcome = with_proof(gate.bases, suspect.commit, confirm_first)
    outcomes = {first.metric: outcome}
    for one in others:
        logs = log_ratios(launcher.pairs, one.metric)
        outcomes[one.metric] = outcome_of(logs, one.margin, hypotheses)
    return Confirmation(measured=measured, suspect=suspect, pairs=launcher.pairs, outcomes=outcomes)


def _verdicts(
    gate: GateSession,
    one: Confirmation,
    adjusted: Mapping[tuple[str, str], float],
    progress: Progress,
) -> list[Verdict]:
    case_id = one.measured.case.id
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
    error: BaseError | LaunchError,
    gate: GateSession,
    measured: MeasuredCase,
    suspect: Suspect,
    progress: Progress,
) -> list[Verdict]:
    """Judge a suspect that pairs could not: by a second set of launches, if it had a baseline."""
    case = measured.case
    reason = f"not confirmed in pairs: {error}"
    on_base = isinstance(error, BaseError) or error.side == "base"
    if on_base and not gate.is_paired:
        try:
            why = ", again: not to be confirmed in pairs"
            samples = measure_alone(gate, case, progress, why)
            return [replace(one, reason=reason) for one in gate.judge(case, samples)]
        except LaunchError as second:
            error, on_base = second, False
    if isinstance(error, LaunchError) and not on_base:
        measured.confirmation_error = f"{error.status}: {case.id}: {error}"
    return [undecided(one, reason) for one in suspect.screened]


def _controlled(
    gate: GateSession, one: Confirmation, verdict: Verdict, progress: Progress
) -> Verdict:
    """Run base against base as often: if that raises an alarm too, the machine is what changed."""
    if verdict.status != "slower":
        return verdict
    base = gate.bases.side(one.suspect.commit)
    launcher = launcher_of(gate, one.measured.case, base, base, progress, ", null control")
    try:
        draws = islice(launcher.draws(verdict.metric), len(one.pairs))
        null = of_pairs([ratio for ratio, _ in draws])
    except LaunchError as error:
        return undecided(verdict, f"the null control failed: {error}")
    finally:
        progress.clear()
    if not is_alarm(null, verdict.margin):
        return verdict
    return undecided(verdict, f"base against base gave {null.ratio:.3f} in as many launches")
