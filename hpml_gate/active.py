"""What the plugin's hooks do once something is gated."""

from collections.abc import Collection, Sequence

import pytest
from _pytest.runner import runtestprotocol  # what plugins that rerun tests use, too

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.baselines.session_file import BaselineError
from hpml_gate.bench import Bench
from hpml_gate.output.files_of_a_run import Outputs, write
from hpml_gate.output.terminal import summarize
from hpml_gate.output.test_reports import Held, hold_or_send, send
from hpml_gate.plain import run_in_launches
from hpml_gate.run.cells import Cell, CellNotes, cell_of
from hpml_gate.run.confirm import conclude
from hpml_gate.run.listing import is_plain, is_recorded, measures
from hpml_gate.run.missing import (
    GONE,
    MissingItem,
    find_missing,
    find_missing_of_base,
    missing_message,
    why_uncollected,
)
from hpml_gate.run.progress import Progress
from hpml_gate.run.repository import BaseError
from hpml_gate.run.session import GateSession
from hpml_gate.run.settings import Settings
from hpml_gate.run.stash import (
    DESELECTED,
    GATE,
    INVOCATION,
    NOT_JUDGED,
    PROGRESS,
    UNCOLLECTED,
)

OUTPUTS = pytest.StashKey[Outputs]()
HELD = pytest.StashKey[Held]()

NOTHING_JUDGED = {
    "judge": "nothing was judged: no case that ran has a baseline of this machine",
    "paired": "nothing was judged: no case that ran could be compared with the base",
}


def bench_of(request: pytest.FixtureRequest) -> Bench:
    """Return the fixture of one test."""
    gate = _session(request.config)
    benchmark = request.getfixturevalue("benchmark")
    adapter.claim(benchmark)  # a test that skips before it measures is no unused benchmark
    return Bench(benchmark, gate, request.node, _progress(request.config))


def _session(config: pytest.Config) -> GateSession:
    """Return the run's session; the first to ask starts it."""
    if GATE not in config.stash:
        config.stash[GATE] = GateSession(config=config, settings=Settings.of(config))
        config.stash[HELD] = {}
        config.pluginmanager.register(CellNotes(config.stash[GATE].cells), "hpml_gate_cells")
    return config.stash[GATE]


def cell_of_test(request: pytest.FixtureRequest) -> Cell:
    """Return a test's cell of the record."""
    return _session(request.config).cell(request.node)


def _progress(config: pytest.Config) -> Progress:
    if PROGRESS not in config.stash:
        config.stash[PROGRESS] = Progress(config)
    return config.stash[PROGRESS]


def start(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Check what is compared with; each missing test gets a failing item."""
    gate = _session(session.config)
    if gate.settings.mode in {"off", "self-test"}:
        return
    known = session.config.stash[DESELECTED].union(item.nodeid for item in items)
    try:
        missing = _missing(gate, known, measures=any(measures(item) for item in items))
    except (BaselineError, BaseError) as error:
        gate.bases.close()
        raise pytest.UsageError(str(error)) from None
    items += [MissingItem.from_parent(session, test=test, why=missing[test]) for test in missing]


def _missing(gate: GateSession, known: Collection[str], *, measures: bool) -> dict[str, str]:
    """Return the tests that are missing, and why each fails."""
    if gate.is_paired:
        return find_missing_of_base(gate, known)
    if gate.records and measures:
        gate.baselines.check_writable()
    if not gate.settings.baselines.is_dir():
        return {}
    uncollected = gate.config.stash[UNCOLLECTED]
    missing = find_missing(gate.config, gate.baselines.by_case.values(), known)
    gate.missing = [one for one in missing if not why_uncollected(one.test, uncollected)]
    if not gate.judges:
        return {}
    why = {one.test: why_uncollected(one.test, uncollected) or GONE for one in missing}
    return {one.test: missing_message(one, why[one.test]) for one in missing}


def run_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that measures; its reports wait if its case is to be judged with others."""
    stash = item.config.stash
    if is_recorded(item) or isinstance(item, MissingItem):
        stash[GATE].cells[item.nodeid] = cell_of(item)
    if not measures(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    if is_plain(item):
        reports = _run_plain(item)
    else:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    hold_or_send(stash[GATE], stash[HELD], item, reports)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run_plain(item: pytest.Item) -> list[pytest.TestReport]:
    """Run a test in launches, with nothing set up here that they may need for themselves."""
    if failed := _tear_down_others(item):
        return [failed]
    stash = item.config.stash
    reports = run_in_launches(item, stash[GATE], stash[INVOCATION], _progress(item.config))
    for report in reports:
        take_report(item, report)
    return reports


def _tear_down_others(item: pytest.Item) -> pytest.TestReport | None:
    """Tear down what earlier tests share; return the report if that fails."""
    state = item.session._setupstate  # noqa: SLF001  pytest has no other way to say: nothing comes next
    call = pytest.CallInfo.from_call(lambda: state.teardown_exact(None), when="setup")
    if call.excinfo is None:
        return None
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    return report


def end_of_tests(config: pytest.Config) -> None:
    """Judge all suspects together, then report their tests."""
    gate, held = config.stash[GATE], config.stash[HELD]
    conclude(gate)
    for item, reports in held.values():
        send(gate, item, reports)
    _fail_unfailed(config, gate)
    gate.bases.close()


def _fail_unfailed(config: pytest.Config, gate: GateSession) -> None:
    """Report once more what got slower in a test whose reports nobody held back."""
    for test, measured in gate.cases.items():
        slower = [one for one in measured.verdicts if one.status == "slower"]
        if slower and test not in gate.failed:
            gate.failed.add(test)
            report = pytest.TestReport(
                nodeid=test,
                location=(test.partition("::")[0], None, test.partition("::")[2]),
                keywords={},
                outcome="failed",
                longrepr="\n".join(f"slower: {one.case_id} takes {one}" for one in slower),
                when="call",
            )
            config.hook.pytest_runtest_logreport(report=report)


def take_report(item: pytest.Item, report: pytest.TestReport) -> None:
    """Keep failures out of the baselines; a test that did not measure what it did is missing."""
    gate = item.config.stash[GATE]
    if why := _why_not_measured(item, report, gate):
        _fail_if_missing(item, report, gate, why)
    if report.failed:
        gate.failed.add(item.nodeid)


def _why_not_measured(item: pytest.Item, report: pytest.TestReport, gate: GateSession) -> str:
    """Return why a test that did not fail measured nothing; nothing if it did, or is not over."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        return f"its test was skipped ({reason})"
    if NOT_JUDGED in report.user_properties:
        return ""
    if report.when == "call" and report.passed and item.nodeid not in gate.cases:
        return "its test passed without measuring"
    return ""


def _fail_if_missing(
    item: pytest.Item, report: pytest.TestReport, gate: GateSession, why: str
) -> None:
    if gate.is_paired and item.nodeid in gate.base_tests:
        report.outcome = "failed"
        report.longrepr = (
            f"missing: {item.nodeid} is measured at the base but {why}. Let it measure, or add it "
            "to gate_retired in the ini file"
        )
    for baseline in gate.baselines_of(item.nodeid):
        if gate.settings.mode != "record":
            report.outcome = "failed"
            report.longrepr = missing_message(baseline, why)
        elif report.passed:  # it ran, and measures nothing any more
            gate.missing.append(baseline)
        else:
            gate.notes.append(f"the baseline of {baseline.case_id} is kept: {why}")


def finish(session: pytest.Session) -> None:
    """Write what was measured; a run that should judge and judged nothing did not pass."""
    gate = session.config.stash[GATE]
    problems = []
    nothing_judged = not any(one.was_judged for one in gate.verdicts)
    if gate.settings.mode in NOTHING_JUDGED and nothing_judged and not gate.is_first:
        problems.append(f"--gate {gate.settings.mode}, but {NOTHING_JUDGED[gate.settings.mode]}")
    status = _exit_status(session, problems)
    outputs = session.config.stash[OUTPUTS] = write(gate, status, problems)
    session.exitstatus = _exit_status(session, outputs.problems)


def _exit_status(session: pytest.Session, problems: Sequence[str]) -> int | pytest.ExitCode:
    """Return a failure where there is a problem and no test failed."""
    passed = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if problems and session.exitstatus in passed:
        return pytest.ExitCode.TESTS_FAILED
    return session.exitstatus


def prepare_tables(config: pytest.Config) -> None:
    """Leave out of pytest-benchmark's tables what the gate shows itself."""
    if config.stash[GATE].cases:
        adapter.hide_from_tables(config)


def show(reporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show verdicts and where things are."""
    if OUTPUTS in config.stash:
        summarize(reporter, config.stash[GATE], config.stash[OUTPUTS])
