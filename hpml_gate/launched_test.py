"""The far end of a test's launch: pytest runs that one test, and stands at the call that is timed.

Fixtures, conftests, options, variables and working folder are the run's own. Then the call returns
its result, the test's assertions run, teardown follows, and its reports travel back.
"""

import os
import pickle
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.benchmark import Rounds, step_of_call
from hpml_gate.measure.block import time_block
from hpml_gate.measure.parameters import described_parameters
from hpml_gate.measure.worker import Connection, Conversation, Workbench
from hpml_gate.protocol import BlockTime, Step, Timer
from hpml_gate.run.listing import LAUNCHED

__tracebackhide__ = True  # a failing call's traceback shows the test's own code

# What a launch must not do, by the option's name: write reports, choose tests, stop, ask, time out.
QUIET_OPTIONS: Mapping[str, object] = {
    "basetemp": None,
    "htmlpath": None,
    "json_report": False,
    "maxfail": 0,
    "pastebin": None,
    "pyargs": False,
    "report_log": None,
    "stepwise": False,
    "timeout": 0,
    "trace": False,
    "usepdb": False,
    "xmlpath": None,
    **adapter.QUIET_OPTIONS,
}


def serve(connection: Connection, packed: bytes) -> None:
    """Run pytest over one test, answer for it, send what it left, and leave."""
    arguments, file, name = pickle.loads(packed)  # noqa: S301  the other end is our own parent process
    arguments = [*arguments, "-o", f"cache_dir={os.environ['TMPDIR']}/cache"]
    sys.argv[:] = ["pytest", *arguments]
    launched = LaunchedTest(connection, Path(file), name)
    status = pytest.main(arguments, plugins=[launched])
    connection.send(("ended", launched.ended(int(status))))
    os._exit(0)  # what an interpreter tidies up at its end takes torch two seconds


class StandingTest(Workbench):
    """The requests that a test answers while it stands at its call."""

    def __init__(self) -> None:
        """Stand nowhere yet."""
        super().__init__(b"")
        self.blocks: list[tuple[int, Sequence[BlockTime]]] = []  # with their iterations

    def prepare(self) -> None:
        """Do nothing: fixtures and the test have prepared the step by now."""

    def time(self, iterations: int, timer: Timer = time_block) -> Sequence[BlockTime]:
        """Time one block, and keep it for the test's own eyes."""
        block = super().time(iterations, timer)
        self.blocks.append((iterations, block))
        return block


class LaunchedTest:
    """A pytest plugin that collects one test and hands its timed call to the controller."""

    __name__ = LAUNCHED  # what pytest registers it by

    def __init__(self, connection: Connection, file: Path, name: str) -> None:
        """Answer over ``connection`` for the test ``name`` of ``file``."""
        self._file, self._name = file, name
        self._bench = StandingTest()
        self._talk = Conversation(connection, self._bench)
        self._config: pytest.Config | None = None
        self._was_collected = False
        self._fixture: Any = None
        self._collection_errors: list[str] = []
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Collect the test's file, whatever the command line names, and report to nobody else."""
        self._config = config
        config.args = [str(self._file)]
        for option, value in QUIET_OPTIONS.items():
            if hasattr(config.option, option):
                setattr(config.option, option, value)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Keep the one test, whatever is deselected."""
        found = [item for item in items if item.nodeid.partition("::")[2] == self._name]
        yield
        items[:] = found[:1]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember why a file could not be collected."""
        if report.failed:
            self._collection_errors.append(str(report.longrepr))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Report that the test is found; set it up when it is asked to."""
        self._was_collected = True
        self._bench.parameters = described_parameters(item)
        self._hear(lambda: self._talk.answer_until("prepare"))
        return (yield)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Take the place of pytest-timeout's timer: the gate has its own for launches."""
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        """Time what pytest-benchmark's own fixture is given."""
        made = yield
        if adapter.is_benchmark(made):
            self._fixture = made
            adapter.replace_timing(made, self._time_call, self._time_rounds)
        return made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the test's reports."""
        self._reports.append(report)

    def ended(self, exit_status: int) -> dict[str, Any]:
        """Return what became of the test, when all is over."""
        status, summary = self._outcome(exit_status)
        hook = self._config.hook if self._config else None
        return {
            "status": status,
            "summary": summary,
            "reports": [
                hook.pytest_report_to_serializable(config=self._config, report=report)
                for report in self._reports
                if hook
            ],
            **adapter.said_by_test(self._fixture),
        }

    def _outcome(self, exit_status: int) -> tuple[str, str]:
        if failed := [report for report in self._reports if report.failed]:
            return "failed", _said_by(failed[0])
        if not self._was_collected:
            errors = " ".join("\n".join(self._collection_errors).split())[-300:]
            if exit_status == pytest.ExitCode.USAGE_ERROR:
                return "error", "pytest refused the run's options there"
            return "lacking", errors or f"{self._file} has no test {self._name}"
        if self._bench.blocks:
            return "measured", ""
        skipped = next((one for one in self._reports if one.skipped), None)
        return ("skipped", f"{skipped.longrepr}") if skipped else ("unmeasured", "it timed nothing")

    def _time_call(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
        """Stand in ``benchmark(function, *args, **kwargs)``."""
        self._stand(step_of_call(function, args, kwargs))
        return function(*args, **kwargs)

    def _time_rounds(  # noqa: PLR0913  pytest-benchmark's own arguments
        self,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., object] | None = None,
        rounds: int = 1,
        warmup_rounds: int = 0,
        iterations: int = 1,
    ) -> object:
        """Stand in ``benchmark.pedantic(target, ...)``."""
        adapter.check_rounds(rounds, warmup_rounds, iterations, has_setup=setup is not None)
        step = Rounds(target=target, arguments=(args, kwargs or {}), setup=setup, teardown=teardown)
        self._stand(step if setup or teardown else step_of_call(target, args, kwargs or {}))
        return step.call()

    def _stand(self, step: Step) -> None:
        """Answer the controller's requests until it is done with this launch."""
        self._bench.step = step
        self._talk.answer(("prepare",))
        self._hear(lambda: self._talk.answer_until("finish"))
        adapter.fill(self._fixture, self._bench.blocks)

    def _hear(self, hear: Callable[[], None]) -> None:
        try:
            hear()
        except EOFError:
            pytest.exit("the controller has hung up: the launch is over")


def _said_by(failed: pytest.TestReport) -> str:
    """Return the line that says why a test failed."""
    crash = getattr(failed.longrepr, "reprcrash", None)
    said: str = crash.message if crash else failed.longreprtext
    return (said.strip().splitlines() or ["it failed"])[0]
