"""Verdicts become pytest's reports: a regression is a failure of the test that it belongs to.

The reports of a suspect are held back until all suspects are judged together, at the end of the
run; every other test's go out as usual.
"""

from collections.abc import Sequence

import pytest

from hpml_gate.judge.verdict import Verdict
from hpml_gate.run.session import GateSession

Held = dict[str, tuple[pytest.Item, list[pytest.TestReport]]]  # by node id


def hold_or_send(
    gate: GateSession, held: Held, item: pytest.Item, reports: list[pytest.TestReport]
) -> None:
    """Send a test's reports, unless its case has still to be confirmed."""
    measured = gate.cases.get(item.nodeid)
    if measured and measured.confirmation and all(report.passed for report in reports):
        held[item.nodeid] = item, reports
        return
    if measured:
        measured.confirmation = None  # a test that failed by itself is not judged with the others
    send(gate, item, reports)


def send(gate: GateSession, item: pytest.Item, reports: Sequence[pytest.TestReport]) -> None:
    """Let the verdicts decide the test, then report it."""
    measured = gate.cases.get(item.nodeid)
    verdicts = measured.verdicts if measured else []
    failures = [f"slower: {one.case_id} takes {one}" for one in verdicts if one.status == "slower"]
    for report in reports:
        report.user_properties += _properties(verdicts)
        if failures and report.when == "call" and report.passed:
            report.outcome = "failed"
            report.longrepr = "\n".join(failures)
            vars(report).pop("wasxfail", None)  # an expected failure was of something else
            gate.failed.add(item.nodeid)
        item.ihook.pytest_runtest_logreport(report=report)


def _properties(verdicts: Sequence[Verdict]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for one in verdicts:
        prefix = "gate" if one.metric == "time" else f"gate.{one.metric}"
        found.append((prefix, one.status))
        if one.ratio is not None:
            numbers = {"ratio": one.ratio, "low": one.low, "high": one.high}
            found += [(f"{prefix}.{name}", value) for name, value in numbers.items()]
    return found
