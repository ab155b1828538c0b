"""Confirming suspects: each measured anew in pairs while its test stands, all judged together."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from hpml_gate.judge.sequential_test import Outcome, confirm, is_alarm, outcome_of
from hpml_gate.judge.statistics import Estimate, holm, of_pairs
from hpml_gate.judge.verdict import Verdict, explained, of_trial, undecided
from hpml_gate.measure.launch import LaunchError, Side
from hpml_gate.measure.paired import Launcher, disturbances_of, log_ratios
from hpml_gate.run.against_base import launcher_of, with_proof
from hpml_gate.run.against_baseline import measure_alone
from hpml_gate.run.progress import Progress
from hpml_gate.run.repository import BaseError
from hpml_gate.run.session import Confirmation, GateSession, MeasuredCase, Suspect


def confirm_suspect(
    gate: GateSession, measured: MeasuredCase, suspect: Suspect, progress: Progress
) -> None:
    """Measure a suspect anew, in pairs; :func:`conclude` judges it.

    Where only the base fails, it is judged here: by a second set of launches if it had a baseline.
    Raises LaunchError if the head fails.
    """
    try:
        measured.confirmation = _confirm(gate, measured, suspect, progress)
    except (BaseError, LaunchError) as error:
        if isinstance(error, LaunchError) and error.side != "base":
            raise
        measured.resolve(_unconfirmed(error, gate, measured, suspect, progress))
    finally:
        progress.clear()


def conclude(gate: GateSession) -> None:
    """Judge all suspects of the run together: Holm's correction is over all that was confirmed."""
    confirmed = [
        (one, one.confirmation, one.suspect)
        for one in gate.cases.values()
        if one.confirmation and one.suspect
    ]
    adjusted = holm(
        {
            (one.case.id, metric): outcome.p_value
            for one, confirmation, _ in confirmed
            for metric, outcome in confirmation.outcomes.items()
        }
    )
    for one, confirmation, suspect in confirmed:
        one.pairs, one.pairs_commit = confirmation.pairs, suspect.commit
        one.resolve(_verdicts(one.case.id, confirmation, suspect, adjusted))


def _confirm(
    gate: GateSession, measured: MeasuredCase, suspect: Suspect, progress: Progress
) -> Confirmation:
    """Launch until the first of what looks slower is decided; the others are judged with it."""
    first, *others = suspect.screened
    share = _share(gate)

    def confirm_first(base: Side, head: Side) -> tuple[Launcher, Outcome]:
        launcher = launcher_of(gate, measured.case, base, head, progress, ", to confirm")
        draws, budget_s = launcher.draws(first.metric), gate.settings.budget.confirm_s
        return launcher, confirm(draws, first.margin, budget_s, share)

    launcher, outcome = with_proof(gate.bases, suspect.commit, confirm_first)
    outcomes = {first.metric: outcome}
    for one in others:
        logs = log_ratios(launcher.pairs, one.metric)
        outcomes[one.metric] = outcome_of(logs, one.margin, _share(gate))
    controls = {
        one.metric: _control(gate, measured, one, launcher, progress)
        for one in suspect.screened
        if _alone(measured.case.id, one, outcomes[one.metric]).status == "slower"
    }
    return Confirmation(pairs=launcher.pairs, outcomes=outcomes, controls=controls)


def _share(gate: GateSession) -> int:
    """Return which part of what may be spent on early looks the next suspect gets: one in so many.

    How many there will be is not known yet: a half, a sixth, a twelfth... is one in all.
    """
    gate.hypotheses += 1
    return gate.hypotheses * (gate.hypotheses + 1)


def _alone(case_id: str, screened: Verdict, outcome: Outcome) -> Verdict:
    """Return the verdict if this were the run's only suspect."""
    return of_trial(case_id, outcome, outcome.p_value, screened.margin, screened.metric)


def _verdicts(
    case_id: str,
    confirmation: Confirmation,
    suspect: Suspect,
    adjusted: Mapping[tuple[str, str], float],
) -> list[Verdict]:
    made = [
        of_trial(
            case_id,
            confirmation.outcomes[one.metric],
            adjusted[case_id, one.metric],
            one.margin,
            one.metric,
        )
        for one in suspect.screened
    ]
    controlled = [_controlled(verdict, confirmation) for verdict in made]
    return [explained(verdict, disturbances_of(confirmation.pairs)) for verdict in controlled]


def _controlled(verdict: Verdict, confirmation: Confirmation) -> Verdict:
    """Believe a regression unless base against base raised an alarm, too."""
    if verdict.status != "slower":
        return verdict
    null = confirmation.controls[verdict.metric]
    if isinstance(null, str):
        return undecided(verdict, f"the null control failed: {null}")
    if not is_alarm(null, verdict.margin):
        return verdict
    return undecided(verdict, f"base against base gave {null.ratio:.3f} in as many launches")


def _control(
    gate: GateSession,
    measured: MeasuredCase,
    screened: Verdict,
    confirming: Launcher,
    progress: Progress,
) -> Estimate | str:
    """Run base against base as often; return why not, if it fails."""
    base = confirming.base
    launcher = launcher_of(gate, measured.case, base, base, progress, ", null control")
    try:
        draws = islice(launcher.draws(screened.metric), len(confirming.pairs))
        return of_pairs([ratio for ratio, _ in draws])
    except LaunchError as error:
        return str(error)


def _unconfirmed(
    error: BaseError | LaunchError,
    gate: GateSession,
    measured: MeasuredCase,
    suspect: Suspect,
    progress: Progress,
) -> list[Verdict]:
    """Judge a suspect that pairs could not: by a second set of launches, if it had a baseline."""
    reason = f"not confirmed in pairs: {error}"
    if gate.is_paired:
        return [undecided(one, reason) for one in suspect.screened]
    samples = measure_alone(gate, measured.case, progress, ", again: not to be confirmed in pairs")
    return [replace(one, reason=reason) for one in gate.judge(measured.case, samples)]
