"""Screening in pairs: dear, and exact on a machine that is not. Both sides run here and now."""

from collections.abc import Sequence

from hpml_gate import trial
from hpml_gate.case import Case
from hpml_gate.checkout import BaseError
from hpml_gate.launch import LaunchError, Side
from hpml_gate.pairs import Launcher, Pair, disturbances_of, metric_log_ratios
from hpml_gate.progress import Progress
from hpml_gate.samples import Samples
from hpml_gate.session import GateSession, Suspect
from hpml_gate.stored import measure_alone
from hpml_gate.verdict import Status, Verdict, explained, of_screening, unjudged


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
        launcher = launcher_of(gate, case, base, Side(), progress, "")
        outcome = trial.screen(launcher.draws(), margin, gate.settings.budget.screen_s)
    except (BaseError, LaunchError) as error:
        return _without_base(error, gate, case, progress)
    finally:
        progress.clear()
    verdicts = [of_screening(case.id, outcome, margin), *_metric_verdicts(case, launcher.pairs)]
    gate.pairs[case.id] = launcher.pairs
    if suspicious := [one for one in verdicts if _is_suspicious(one)]:
        gate.suspects[case.test] = Suspect(case=case, commit=gate.base_commit, screened=suspicious)
    samples = Samples.of(case.id, [pair.head for pair in launcher.pairs])
    return samples, [explained(one, disturbances_of(launcher.pairs)) for one in verdicts]


def _without_base(
    error: BaseError | LaunchError, gate: GateSession, case: Case, progress: Progress
) -> tuple[Samples, list[Verdict]]:
    """Where only the base fails, measure the head alone: it must work, and its times are kept."""
    if isinstance(error, LaunchError) and error.side != "base":
        raise error
    lacks_it = isinstance(error, BaseError) or error.status == "lacking"
    status: Status = "new" if lacks_it else "incomparable"
    reason = f"the base {'lacks it' if lacks_it else 'fails'} ({error})"
    samples = measure_alone(gate, case, progress)
    return samples, [unjudged(case.id, status, gate.settings.margin_of(case, paired=True), reason)]


def launcher_of(  # noqa: PLR0913  what is measured, where, and what is said meanwhile
    gate: GateSession, case: Case, base: Side, head: Side, progress: Progress, why: str
) -> Launcher:
    """Return what draws a case's paired launches, and says so meanwhile."""
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
    return verdict.status == "inconclusive" and verdict.ratio is not None and verdict.ratio > 1


def _metric_verdicts(case: Case, pairs: Sequence[Pair]) -> list[Verdict]:
    """Screen the second metrics; one that only one side has cannot be compared."""
    base, head = pairs[0].base.metrics, pairs[0].head.metrics
    verdicts = [
        of_screening(
            case.id,
            trial.outcome_of(metric_log_ratios(pairs, name), head[name].margin),
            head[name].margin,
            name,
        )
        for name in sorted(base.keys() & head.keys())
    ]
    why = "the base has it, the head has it no more"
    gone = [unjudged(case.id, "incomparable", 0.0, why, name) for name in base.keys() - head.keys()]
    new = [
        unjudged(case.id, "new", head[name].margin, metric=name)
        for name in head
        if name not in base
    ]
    return [*verdicts, *gone, *new]
