"""The ``bench`` fixture: a prepared step goes in, samples and a verdict come out."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.judging import measure_and_judge
from hpml_gate.measure.block import time_block
from hpml_gate.measure.launch import LaunchError
from hpml_gate.measure.samples import Samples
from hpml_gate.measure.worker import StepRequest
from hpml_gate.protocol import Step
from hpml_gate.run.case import Case
from hpml_gate.run.progress import Progress
from hpml_gate.run.session import GateSession, MeasuredCase
from hpml_gate.run.settings import own_margin
from hpml_gate.run.stash import NOT_JUDGED


class Bench:
    """Measures one case and judges it; a case that got slower fails its test."""

    def __init__(
        self,
        benchmark: BenchmarkFixture,
        gate: GateSession,
        node: pytest.Item,
        progress: Progress,
    ) -> None:
        """Belong to one test."""
        self._benchmark = benchmark
        self._gate = gate
        self._node = node
        self._progress = progress

    def __call__(
        self,
        prepare: Callable[..., Step],
        *args: Any,
        case_id: str | None = None,
        cpus: int | None = 1,
    ) -> Samples | None:
        """Measure ``prepare(*args)`` in fresh processes and judge it.

        ``prepare`` is a function of an importable module; it and ``args`` are sent to each
        process, so the arguments are plain data. ``case_id`` keys the baseline (by default the
        test's node id) and must be the case's own in a run. The step is held to ``cpus`` CPUs,
        another set with each launch; None: it has all of them.

        Returns the samples, or None where pytest-benchmark is disabled and the gate is off: then
        the step runs once, untimed. A suspect is confirmed before this returns, but judged at the
        end of the run, together with all others: then the verdict decides the test.
        """
        request = StepRequest(prepare=prepare, args=args)
        case = Case(
            id=case_id or self._node.nodeid,
            test=self._node.nodeid,
            order=request,
            cpus=cpus,
            margin=self._own_margin(),
        )
        self._check_unique(case)
        if not adapter.claim(self._benchmark):
            self._run_untimed(request)
            return None
        measured = self._gate.cases[case.test] = self._measure_and_judge(case)
        axes = self._gate.cell(self._node).description.axes
        adapter.record(self._benchmark, measured.samples, axes)
        return measured.samples

    def _measure_and_judge(self, case: Case) -> MeasuredCase:
        failure: LaunchError
        try:
            return measure_and_judge(self._gate, case, self._progress)
        except LaunchError as error:
            failure = error
        # Not in the handler: pytest would print the launch's error once more, as the context.
        if failure.status == "skipped":
            pytest.skip(f"{failure}")
        self._node.user_properties.append(("gate", failure.status))
        details = f"\n\n{failure.details}" if failure.details else ""
        pytest.fail(f"{failure.status}: {case.id}: {failure}{details}", pytrace=False)

    def _own_margin(self) -> float | None:
        try:
            return own_margin(self._node)
        except ValueError as error:
            pytest.fail(str(error), pytrace=False)

    def _check_unique(self, case: Case) -> None:
        if self._gate.has_case(case.id):
            pytest.fail(f"case {case.id} was measured twice in this run: give it an id of its own")
        if case.test in self._gate.cases:
            pytest.fail("bench can be used once in a test: parametrize it, or write another")

    def _run_untimed(self, request: StepRequest) -> None:
        if self._gate.settings.mode == "auto":
            self._node.user_properties.append(NOT_JUDGED)
        elif self._gate.settings.mode != "off":
            pytest.fail(
                "nothing can be timed here: pytest-benchmark is disabled (by -n or "
                "--benchmark-disable). Leave that out, or add --gate off to run each step once, "
                "untimed",
                pytrace=False,
            )
        step = request.prepare(*request.args)
        try:
            step.measure(time_block, 1)
        finally:
            step.close()
