"""pytest-benchmark's fixture in a launch: what a test gives it becomes a step that the gate times.

Its own plan for one process (``rounds``, ``warmup_rounds``, ``iterations``, ``min_time``...) does
not apply: the gate warms up, fills its blocks, and repeats launches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hpml_gate.clocks import REAL
from hpml_gate.protocol import BlockTime, FunctionStep, Metric, Step, Timer

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


__tracebackhide__ = True  # a failing call's traceback shows the test's own code


def step_of_call(function: Callable[..., object], args: Sequence[Any], kwargs: Any) -> Step:
    """Return the step of ``benchmark(function, *args, **kwargs)``."""
    return FunctionStep(run=_bound(function, (args, kwargs)))


def _bound(function: Callable[..., object], arguments: Arguments) -> Callable[[], object]:
    args, kwargs = arguments
    return partial(function, *args, **kwargs) if args or kwargs else function


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The step of ``benchmark.pedantic`` with a setup or a teardown: one call in each round.

    Only the calls are judged. The wall time of a block is that of whole rounds, so a block has as
    many of them as fit its length.
    """

    target: Callable[..., object]
    arguments: Arguments
    setup: Callable[[], Any] | None
    teardown: Callable[..., object] | None
    items_per_step: int = 1
    effective: Mapping[str, Any] = field(default_factory=lambda: {"iterations_per_round": 1})
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def measure(self, timer: Timer, iterations: int) -> Sequence[BlockTime]:
        """Time so many rounds as one block."""
        start_ns = REAL.perf_counter_ns()
        calls = [self._round(timer) for _ in range(iterations)]
        return [_together(calls, REAL.perf_counter_ns() - start_ns)]

    def call(self) -> object:
        """Go through one round, untimed; return what its call returns."""
        arguments = self._set_up()
        returned = _bound(self.target, arguments)()
        self._tear_down(arguments)
        return returned

    def close(self) -> None:
        """Hold nothing: each round was torn down."""

    def _round(self, timer: Timer) -> BlockTime:
        arguments = self._set_up()
        block = timer(_bound(self.target, arguments), None, 1)
        self._tear_down(arguments)
        return block

    def _set_up(self) -> Arguments:
        made = self.setup() if self.setup else None
        if not made:
            return self.arguments
        if any(self.arguments):
            raise TypeError("Can't use `args` or `kwargs` if `setup` returns the arguments.")
        args, kwargs = made
        return args, kwargs

    def _tear_down(self, arguments: Arguments) -> None:
        if self.teardown is not None:
            args, kwargs = arguments
            self.teardown(*args, **kwargs)


def _together(calls: Sequence[BlockTime], wall_ns: int) -> BlockTime:
    return BlockTime(
        ns=sum(one.ns for one in calls),
        wall_ns=wall_ns,
        cpu_ns=sum(one.cpu_ns for one in calls),
        page_faults=sum(one.page_faults for one in calls),
        preemptions=sum(one.preemptions for one in calls),
        unjudged=next((one.unjudged for one in calls if one.unjudged), ""),
    )
