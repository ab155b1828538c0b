"""The ``bench`` fixture: a prepared step goes in, samples and a verdict come out."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.launch import LaunchError, measure
from hpml_gate.measure import time_block
from hpml_gate.protocol import Step
from hpml_gate.report import Progress
from hpml_gate.samples import Samples
from hpml_gate.session import GateSession
from hpml_gate.verdict import Verdict, is_steady


class Bench:
    """Measures one case, judges it, and fails the test when the case got slower."""

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
        self, prepare: Callable[..., Step], *args: Any, case_id: str | None = None
    ) -> Samples | None:
        """Measure ``prepare(*args)`` in fresh processes and judge it.

        ``prepare`` is a function of an importable module; it and ``args`` are sent to each
        process, so the arguments are plain data. ``case_id`` keys the baseline (by default the
        test's node id) and must be the case's own in a run.

        Returns the samples, or None where pytest-benchmark is disabled and the gate is off: then
        the step runs once, untimed.
        """
        case_id = case_id or self._node.nodeid
        if case_id in self._gate.verdicts:
            pytest.fail(f"case {case_id} was measured twice in this run: give it an id of its own")
        if self._node.nodeid in self._gate.cases:
            pytest.fail("bench can be used once in a test: parametrize it, or write another")
        if not adapter.claim(self._benchmark):
            self._run_untimed(prepare, args)
            return None
        verdict, samples = self._measure_and_judge(prepare, args, case_id)
        adapter.record(self._benchmark, samples)
        self._gate.add(self._node.nodeid, samples, verdict)
        self._tell_junit(verdict)
        if verdict.status == "slower":
            pytest.fail(f"slower: {case_id} takes {verdict}", pytrace=False)
        return samples

    def _measure_and_judge(
        self, prepare: Callable[..., Step], args: tuple[Any, ...], case_id: str
    ) -> tuple[Verdict, Samples]:
        """Screen, then confirm a suspect in launches of its own, the screening data discarded.

        What will be a baseline is measured again if its launches scatter, and the steadier set is
        kept: a baseline that scatters would make every later verdict on it inconclusive.
        """
        samples = self._measure(prepare, args, case_id, "")
        verdict = self._gate.judge(samples)
        if verdict.is_suspect:
            why = f", again: at first {verdict.ratio:.2f} of the baseline"
            samples = self._measure(prepare, args, case_id, why)
            verdict = self._gate.judge(samples)
        elif verdict.status == "new" and self._gate.records and not self._is_steady(samples):
            why = ", again: launches scatter too much for a baseline"
            again = self._measure(prepare, args, case_id, why)
            samples = min(samples, again, key=lambda one: one.scatter)
        return verdict, samples

    def _is_steady(self, samples: Samples) -> bool:
        return is_steady(samples.launch_medians_ns, self._gate.settings.margin)

    def _measure(
        self, prepare: Callable[..., Step], args: tuple[Any, ...], case_id: str, why: str
    ) -> Samples:
        settings = self._gate.settings
        failure: LaunchError
        try:
            return measure(
                prepare,
                args,
                case_id=case_id,
                launches=settings.launches,
                timeout_s=settings.timeout_s,
                progress=lambda number: self._progress(
                    f"{case_id}  launch {number} of {settings.launches}{why}"
                ),
            )
        except LaunchError as error:
            failure = error
        finally:
            self._progress.clear()
        # Not in the handler: pytest would print the launch's error once more, as the context.
        self._node.user_properties.append(("gate", failure.status))
        details = f"\n\n{failure.details}" if failure.details else ""
        pytest.fail(f"{failure.status}: {case_id}: {failure}{details}", pytrace=False)

    def _run_untimed(self, prepare: Callable[..., Step], args: tuple[Any, ...]) -> None:
        if self._gate.settings.mode != "off":
            pytest.fail(
                "nothing can be timed here: pytest-benchmark is disabled (by -n or "
                "--benchmark-disable). Leave that out, or add --gate off to run each step once, "
                "untimed",
                pytrace=False,
            )
        step = prepare(*args)
        try:
            step.measure(time_block, 1)
        finally:
            step.close()

    def _tell_junit(self, verdict: Verdict) -> None:
        properties: dict[str, object] = {"gate": verdict.status}
        if verdict.ratio is not None:
            properties |= {"ratio": verdict.ratio, "low": verdict.low, "high": verdict.high}
        self._node.user_properties += list(properties.items())
