"""Measuring and judging one case, the way that the run's mode asks for."""

from hpml_gate.run import against_base, against_baseline
from hpml_gate.run.case import Case
from hpml_gate.run.confirm import confirm_suspect
from hpml_gate.run.progress import Progress
from hpml_gate.run.session import GateSession, MeasuredCase
from hpml_gate.self_test import measure as self_test


def measure_and_judge(gate: GateSession, case: Case, progress: Progress) -> MeasuredCase:
    """Measure a case, screen it, and confirm it at once if it is a suspect.

    Its test has not been torn down then. What becomes of a suspect is decided with all others, by
    :func:`hpml_gate.run.confirm.conclude`. Raises LaunchError if the head fails.
    """
    judges = {"paired": against_base.measure_and_judge, "self-test": self_test.measure}
    judge = judges.get(gate.settings.mode, against_baseline.measure_and_judge)
    measured = judge(gate, case, progress)
    if measured.suspect:
        confirm_suspect(gate, measured, measured.suspect, progress)
    return measured
