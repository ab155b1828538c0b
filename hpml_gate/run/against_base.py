"""Screening in pairs: dear, and exact on a machine that is not. Both sides run here and now."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hpml_gate.judge import sequential_test
from hpml_gate.judge.verdict import Status, Verdict, explained, of_screening, unjudged
from hpml_gate.measure.launch import LaunchError, Side
from hpml_gate.measure.paired import Launcher, Pair, disturbances_of, metric_log_ratios
from hpml_gate.measure.samples import Samples
from hpml_gate.run.against_baseline import measure_alone
from hpml_gate.run.bases import Bases
from hpml_gate.run.case import Case
from hpml_gate.run.comparable import why_incomparable
from hpml_gate.run.progress import Progress
from hpml_gate.run.repository import BaseError
from hpml_gate.run.session import GateSession, MeasuredCase, Suspect

Result = TypeVar("Result")


def measure_and_judge(gate: GateSession, case: Case, progress: Progress) -> MeasuredCase:
    """Screen a case against the run's base commit; what is not clear becomes a suspect.

    Raises LaunchError if the head fails; a base that does leaves the case ``new`` (it lacks it) or
    ``incomparable``.
    """
    margin = gate.settings.margin_of(case, paired=True)

    def screen(base: Side, head: Side) -> tuple[Launcher, sequential_test.Outcome]:
        launcher = launcher_of(gate, case, base, head, progress, "")
        budget_s = gate.settings.budget.screen_s
        return launcher, sequential_test.screen(launcher.draws(), margin, budget_s)

    try:
        launcher, outcome = with_proof(gate.bases, gate.base_commit, screen)
    except (BaseError, LaunchError) as error:
        return _without_base(error, gate, case, progress)
    finally:
        progress.clear()
    base_samples, samples = (
        Samples.of(case.id, [getattr(pair, side) for pair in launcher.pairs])
        for side in ("base", "head")
    )
    if reason := why_incomparable(base_samples, samples):
        verdicts = [unjudged(case.id, "incomparable", margin, reason)]
    else:
        verdicts = [of_screening(case.id, outcome, margin), *_metric_verdicts(case, launcher.pairs)]
    suspicious = [one for one in verdicts if _is_suspicious(one)]
    return MeasuredCase(
        case=case,
        samples=samples,
        verdicts=[explained(one, disturbances_of(launcher.pairs)) for one in verdicts],
        pairs=launcher.pairs,
        pairs_commit=gate.base_commit,
        suspect=Suspect(commit=gate.base_commit, screened=suspicious) if suspicious else None,
    )


def _without_base(
    error: BaseError | LaunchError, gate: GateSession, case: Case, progress: Progress
) -> MeasuredCase:
    """Where only the base fails, measure the head alone: it must work, and its times are kept.

    So it is where a test fails beside the base's: what it holds may not be had twice.
    """
    if isinstance(error, LaunchError) and error.side != "base" and not case.order.is_test:
        raise error
    status, reason = _why_without_base(error, gate, case)
    margin = gate.settings.margin_of(case, paired=True)
    return MeasuredCase(
        case=case,
        samples=measure_alone(gate, case, progress),
        verdicts=[unjudged(case.id, status, margin, reason)],
    )


def _why_without_base(
    error: BaseError | LaunchError, gate: GateSession, case: Case
) -> tuple[Status, str]:
    if isinstance(error, BaseError):
        return "incomparable", str(error)
    if error.side != "base":
        return "incomparable", f"the head fails beside the base, and alone it does not ({error})"
    if error.status == "lacking" and gate.is_new_since_base(case.test):
        return "new", f"the base lacks it ({error})"
    return "incomparable", f"the base fails ({error})"


def with_proof(bases: Bases, commit: str, run: Callable[[Side, Side], Result]) -> Result:
    """Run base and head; where one did not prove that it ran its own code, build it and try again.

    Raises BaseError where that helps nothing, and LaunchError as ``run`` does.
    """
    while True:
        try:
            return run(bases.side(commit), bases.head)
        except LaunchError as error:
            if not bases.builds(error, commit):
                raise


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
    """Whether it is worth confirming; what looks faster is at most undecided."""
    return verdict.status == "inconclusive" and verdict.ratio is not None and verdict.ratio > 1


def _metric_verdicts(case: Case, pairs: Sequence[Pair]) -> list[Verdict]:
    """Screen the second metrics; one that only one side has cannot be compared."""
    base, head = pairs[0].base.metrics, pairs[0].head.metrics
    verdicts = [
        of_screening(
            case.id,
            sequential_test.outcome_of(metric_log_ratios(pairs, name), head[name].margin),
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
