"""A gate for performance: measures over fresh launches and fails a test that got slower.

A pytest plugin on top of pytest-benchmark. A test prepares a step and hands it over::

    from hpml_gate import FunctionStep
    from hpml_gate.bench import Bench


    def prepare_sum(size: int) -> FunctionStep:
        numbers = list(range(size))
        return FunctionStep(run=lambda: sum(numbers), items_per_step=size)


    def test_sum(bench: Bench) -> None:
        bench(prepare_sum, 10_000)
"""

# Not the fixture's class: a launch imports this package, and pytest would come along.
from hpml_gate.protocol import BlockTime, Clock, FunctionStep, Metric, Step, Timer

__all__ = ["BlockTime", "Clock", "FunctionStep", "Metric", "Step", "Timer"]
