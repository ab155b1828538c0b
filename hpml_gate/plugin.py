"""The pytest plugin: hooks and the ``bench`` fixture, all work done elsewhere."""

from collections.abc import Generator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hpml_gate import hookspec
from hpml_gate.baselines import BaselineError
from hpml_gate.bench import Bench
from hpml_gate.missing import MissingItem, find_missing, missing_message
from hpml_gate.outputs import Outputs, write
from hpml_gate.report import Progress, summarize
from hpml_gate.session import GateSession
from hpml_gate.settings import Settings, add_options

GATE = pytest.StashKey[GateSession]()
OUTPUTS = pytest.StashKey[Outputs]()
PROGRESS = pytest.StashKey[Progress]()
DESELECTED = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the gate's options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the gate's hooks."""
    pluginmanager.add_hookspecs(hookspec)


def pytest_configure(config: pytest.Config) -> None:
    """Start with an empty run."""
    config.stash[GATE] = GateSession(config=config, settings=Settings.of(config))
    config.stash[DESELECTED] = set()


@pytest.fixture
def bench(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> Bench:
    """Measure a prepared step in fresh launches, judge it, fail when it got slower."""
    stash = request.config.stash
    if PROGRESS not in stash:
        stash[PROGRESS] = Progress(request.config)
    return Bench(benchmark, stash[GATE], request.node, stash[PROGRESS])


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember what was left out on purpose."""
    for item in items:
        item.config.stash[DESELECTED].add(item.nodeid)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """After all selection: check the baselines, and add a failing item for each missing one."""
    yield
    gate = config.stash[GATE]
    if config.option.collectonly or gate.settings.mode == "off":
        return
    try:
        if gate.records and any(_uses_bench(item) for item in items):
            gate.baselines.check_writable()
        if gate.settings.baselines.is_dir():
            _add_missing(session, gate, items)
    except BaselineError as error:
        raise pytest.UsageError(str(error)) from None


def _add_missing(session: pytest.Session, gate: GateSession, items: list[pytest.Item]) -> None:
    known = session.config.stash[DESELECTED].union(item.nodeid for item in items)
    gate.missing = find_missing(session.config, gate.baselines.by_case.values(), known)
    if gate.judges:
        items += [MissingItem.from_parent(session, baseline=one) for one in gate.missing]


def _uses_bench(item: pytest.Item) -> bool:
    return "bench" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep failures out of the baselines; a test that did not measure what it did is missing."""
    report = yield
    gate = item.config.stash[GATE]
    if _uses_bench(item) and (why := _why_not_measured(item, report, gate)):
        _fail_if_missing(item, report, gate, why)
    if report.failed:
        gate.failed.add(item.nodeid)
    return report


def _why_not_measured(item: pytest.Item, report: pytest.TestReport, gate: GateSession) -> str:
    """Return why a test that did not fail measured nothing; nothing if it did, or is not over."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        return f"its test was skipped ({reason})"
    if report.when == "call" and report.passed and item.nodeid not in gate.cases:
        return "its test passed without measuring"
    return ""


def _fail_if_missing(
    item: pytest.Item, report: pytest.TestReport, gate: GateSession, why: str
) -> None:
    for baseline in gate.baselines_of(item.nodeid):
        if gate.settings.mode == "record":
            gate.missing.append(baseline)
        else:
            report.outcome = "failed"
            report.longrepr = missing_message(baseline, why)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was measured; a run that should judge and judged nothing did not pass."""
    gate = session.config.stash[GATE]
    outputs = session.config.stash[OUTPUTS] = write(gate)
    if gate.settings.mode == "judge" and not any(v.was_judged for v in gate.verdicts.values()):
        outputs.problems.append(
            "--gate judge, but nothing was judged: no case that ran has a baseline of this machine"
        )
    if outputs.problems and session.exitstatus in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show verdicts and where things are, after pytest-benchmark's tables."""
    if OUTPUTS in config.stash:
        summarize(terminalreporter, config.stash[GATE], config.stash[OUTPUTS])
