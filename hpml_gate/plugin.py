"""The pytest plugin: options, the ``bench`` fixture and hooks, all work done elsewhere.

It is loaded into every pytest of an environment that has it. So it imports nothing heavy and reads
nothing before a test that measures is collected or an option asks for a verdict; then
:mod:`hpml_gate.active` does the work.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from hpml_gate import hookspec
from hpml_gate.run.launched import Invocation
from hpml_gate.run.listing import LAUNCHED, is_recorded
from hpml_gate.run.settings import add_options, mode_of
from hpml_gate.run.stash import DESELECTED, GATE, INVOCATION, NOT_JUDGED, UNCOLLECTED
from hpml_gate.run.support import why_not_here

if TYPE_CHECKING:
    from hpml_gate.bench import Bench
    from hpml_gate.record import Description
    from hpml_gate.run.cells import Cell

ASKING = {"record", "judge", "paired"}  # modes in which a run without cases has still to answer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the gate's options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the gate's hooks."""
    pluginmanager.add_hookspecs(hookspec)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Remember how the run was started, before a conftest can change its variables."""
    early_config.stash[INVOCATION] = Invocation.of(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """Start with an empty run."""
    config.stash.setdefault(INVOCATION, Invocation.of(config))
    config.addinivalue_line(
        "markers", "gate(margin='5%'): how much slower is a regression of this test"
    )
    config.stash[DESELECTED] = set()
    config.stash[UNCOLLECTED] = {}
    config.pluginmanager.register(Reports(config), "hpml_gate_reports")


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> "Bench":
    """Measure a prepared step in fresh launches, judge it, fail when it got slower."""
    if why := why_not_here(request.config):
        pytest.skip(f"the gate cannot measure here: {why}")
    from hpml_gate import active

    return active.bench_of(request)


@pytest.fixture
def gate_cell(request: pytest.FixtureRequest) -> "Cell":
    """Return the test's cell of the record, for tables and curves that it measures by itself."""
    if why := why_not_here(request.config):
        pytest.skip(f"the gate cannot measure here: {why}")
    from hpml_gate import active

    return active.cell_of_test(request)


@pytest.hookimpl(trylast=True)
def pytest_gate_describe(item: pytest.Item) -> "Description":
    """Describe a test by its parameters, where its suite says nothing of it."""
    from hpml_gate.run.cells import describe

    return describe(item)


class Reports:
    """Remembers what reports say that nobody asks again; they do not say whose they are."""

    def __init__(self, config: pytest.Config) -> None:
        """Keep with the configuration which files' tests are not known to be gone."""
        self._uncollected = config.stash[UNCOLLECTED]
        self._untimed = 0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that could not be imported, or was skipped."""
        if report.failed:
            self._uncollected[report.nodeid] = "its file could not be collected"
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self._uncollected[report.nodeid] = f"its module was skipped ({reason})"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what ran without being timed, in this process or in pytest-xdist's workers."""
        self._untimed += report.when == "call" and NOT_JUDGED in report.user_properties

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say that a run which looks green judged nothing."""
        if self._untimed:
            terminalreporter.write_line(
                f"gate: {self._untimed} tests ran once, untimed, and were not judged, because "
                "pytest-benchmark is disabled (by -n or --benchmark-disable): leave that out, or "
                "add -n0",
                yellow=True,
            )


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember what was left out on purpose."""
    for item in items:
        item.config.stash[DESELECTED].add(item.nodeid)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """After all selection: start the gate if something is gated, and check what is missing."""
    yield
    is_asked = mode_of(config) in ASKING
    is_needed = is_asked or any(is_recorded(item) for item in items)
    is_launch = config.pluginmanager.hasplugin(LAUNCHED)
    if not is_needed or is_launch or config.option.collectonly:
        return
    if why := why_not_here(config):
        if is_asked:
            raise pytest.UsageError(f"--gate {mode_of(config)} cannot measure here: {why}")
        return
    from hpml_gate import active

    active.start(session, items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that measures; its reports wait if its case is to be judged with others."""
    if GATE not in item.config.stash:
        return None
    from hpml_gate import active

    return active.run_protocol(item, nextitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """After the last test: judge all suspects together, then report their tests."""
    try:
        return (yield)
    finally:
        if GATE in session.config.stash:
            from hpml_gate import active

            active.end_of_tests(session.config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep failures out of the baselines; a test that did not measure what it did is missing."""
    report = yield
    if GATE in item.config.stash:
        from hpml_gate import active

        active.take_report(item, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was measured; a run that should judge and judged nothing did not pass."""
    if GATE in session.config.stash:
        from hpml_gate import active

        active.finish(session)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no worktree, wherever the run ended."""
    if GATE in config.stash:
        config.stash[GATE].bases.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """Show verdicts and where things are, after everybody else's tables."""
    if GATE not in config.stash:
        yield
        return
    from hpml_gate import active

    active.prepare_tables(config)
    yield
    active.show(terminalreporter, config)
