"""Judging by stored baselines: cheap, and as good as the machine is steady between sessions."""

from dataclasses import replace

from hpml_gate.baselines.store import Baseline
from hpml_gate.judge.verdict import explained, is_steady, unjudged
from hpml_gate.measure.samples import Samples
from hpml_gate.measure.unpaired import measure
from hpml_gate.run.case import Case
from hpml_gate.run.comparable import why_not_the_baselines_work
from hpml_gate.run.progress import Progress
from hpml_gate.run.session import GateSession, MeasuredCase, Suspect


def measure_and_judge(gate: GateSession, case: Case, progress: Progress) -> MeasuredCase:
    """Screen a case. A suspect is to be confirmed in pairs against the baseline's own commit.

    Where that commit cannot be had, it is measured again in launches of its own, the screening
    discarded. What will be a baseline is measured again if its launches scatter, and the steadier
    set is kept: a baseline that scatters would make every later verdict on it inconclusive.
    """
    samples = measure_alone(gate, case, progress)
    verdicts = gate.judge(case, samples)
    suspect = None
    baseline = gate.baselines.by_case.get(case.id) if gate.judges else None
    if reason := why_not_the_baselines_work(baseline, samples):
        margin = gate.settings.margin_of(case)
        verdicts = [unjudged(case.id, "incomparable", margin, reason)]
    if suspicious := [one for one in verdicts if one.ratio and one.ratio > 1 + one.margin]:
        baseline = gate.baselines.by_case[case.id]
        if why_not := _why_not_confirmed(gate, baseline):
            why = f", again: at first {suspicious[0].ratio:.2f} of the baseline"
            samples = measure_alone(gate, case, progress, why)
            verdicts = [replace(one, reason=why_not) for one in gate.judge(case, samples)]
        else:
            suspect = Suspect(commit=str(baseline.commit), screened=suspicious)
    elif verdicts[0].status == "new" and gate.records and not _is_steady(gate, case, samples):
        why = ", again: launches scatter too much for a baseline"
        again = measure_alone(gate, case, progress, why)
        samples = min(samples, again, key=lambda one: one.scatter)
    verdicts = [explained(one, samples.disturbances) for one in verdicts]
    return MeasuredCase(case=case, samples=samples, verdicts=verdicts, suspect=suspect)


def measure_alone(gate: GateSession, case: Case, progress: Progress, why: str = "") -> Samples:
    """Measure the checkout under test by itself."""
    launches = gate.settings.launches
    try:
        return measure(
            case.order,
            case_id=case.id,
            launches=launches,
            cpus=case.cpus,
            timeout_s=gate.settings.timeout_s,
            progress=lambda number: progress(f"{case.id}  launch {number} of {launches}{why}"),
        )
    finally:
        progress.clear()


def _why_not_confirmed(gate: GateSession, baseline: Baseline) -> str:
    """Return why a suspect cannot be confirmed in pairs; nothing if it can."""
    if not baseline.commit:
        return "measured twice, not confirmed in pairs: its baseline names no commit"
    if baseline.is_dirty:
        return "measured twice, not confirmed in pairs: its baseline had uncommitted changes"
    if problem := gate.bases.problem_with(baseline.commit):
        return f"measured twice, not confirmed in pairs: {problem}"
    return ""


def _is_steady(gate: GateSession, case: Case, samples: Samples) -> bool:
    return is_steady(samples.launch_medians_ns, gate.settings.margin_of(case))
