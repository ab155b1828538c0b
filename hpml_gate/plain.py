"""Tests of pytest-benchmark's own fixture, gated: each is run by its launches, and only there."""

from contextlib import suppress

import pytest

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.judging import measure_and_judge
from hpml_gate.measure.environment import cpus_of_launch
from hpml_gate.measure.launch import Deadline, LaunchError, workers
from hpml_gate.run.case import Case
from hpml_gate.run.launched import (
    Invocation,
    TestRequest,
    failed_reports,
    reports_of,
    request_of,
)
from hpml_gate.run.progress import Progress
from hpml_gate.run.repository import BaseError
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
        if error.status in {"skipped", "unmeasured"} and not _base_measures(gate, request):
            gate.base_tests = [test for test in gate.base_tests if test != item.nodeid]
        return _reports_of_failure(item, error)
    gate.cases[case.test] = measured
    ended = request.kept["head"][0]
    axes = gate.cell(item).description.axes
    adapter.record(adapter.fixture_of(item, ended), measured.samples, axes)
    return reports_of(item, ended)


def _base_measures(gate: GateSession, request: TestRequest) -> bool:
    """Whether the base's test comes to its call: what it skips, too, is not missing."""
    if not gate.is_paired:
        return False
    deadline, stands = Deadline(timeout_s=gate.settings.timeout_s), False
    with suppress(BaseError, LaunchError):
        base = gate.bases.side(gate.base_commit)
        with workers([(base, request)], cpus_of_launch(0, None), 1, deadline):
            stands = True
    return stands


def _reports_of_failure(item: pytest.Item, error: LaunchError) -> list[pytest.TestReport]:
    """Let a test that failed, was skipped or timed nothing speak for itself, if it could."""
    if error.ended and error.ended["reports"]:
        return reports_of(item, error.ended)
    details = f"\n\n{error.details}" if error.details else ""
    reports = failed_reports(item, f"{error.status}: {item.nodeid}: {error}{details}")
    for report in reports:
        report.user_properties.append(("gate", error.status))
    return reports
