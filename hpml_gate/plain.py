"""Tests of pytest-benchmark's own fixture, gated: each is run by its launches, and only there."""

import pytest

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.judging import measure_and_judge
from hpml_gate.measure.launch import LaunchError
from hpml_gate.run.case import Case
from hpml_gate.run.launched import Invocation, failed_reports, reports_of, request_of
from hpml_gate.run.progress import Progress
from hpml_gate.run.session import GateSession
from hpml_gate.run.settings import own_margin


def run_in_launches(
    item: pytest.Item, gate: GateSession, invocation: Invocation, progress: Progress
) -> list[pytest.TestReport]:
    """Measure and judge a test; return its reports."""
    try:
        margin = own_margin(item)
    except ValueError as error:
        return failed_reports(item, str(error))
    request = request_of(item, invocation)
    case = Case(id=item.nodeid, test=item.nodeid, order=request, cpus=1, margin=margin)
    try:
        measured = measure_and_judge(gate, case, progress)
    except LaunchError as error:
        return _reports_of_failure(item, error)
    gate.cases[case.test] = measured
    ended = request.kept["head"][0]
    axes = gate.cells[case.test].description.axes
    adapter.record(adapter.fixture_of(item, ended), measured.samples, axes)
    return reports_of(item, ended)


def _reports_of_failure(item: pytest.Item, error: LaunchError) -> list[pytest.TestReport]:
    """Let a test that failed, was skipped or timed nothing speak for itself, if it could."""
    if error.ended and error.ended["reports"]:
        return reports_of(item, error.ended)
    details = f"\n\n{error.details}" if error.details else ""
    reports = failed_reports(item, f"{error.status}: {item.nodeid}: {error}{details}")
    for report in reports:
        report.user_properties.append(("gate", error.status))
    return reports
