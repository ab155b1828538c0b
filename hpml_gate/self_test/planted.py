"""Slowdowns planted for the self-test. Workers import this: nothing heavy here."""

from collections.abc import Callable
from dataclasses import replace

from hpml_gate.clocks import REAL
from hpml_gate.measure.block import time_block
from hpml_gate.protocol import BlockTime, Clock


def slowed(
    share: float, run: Callable[[], object], clock: Clock | None, iterations: int
) -> BlockTime:
    """Time a block of a step that is slower by ``share``: go on working for that much longer."""
    block = time_block(run, clock, iterations)
    start_ns = REAL.perf_counter_ns()
    while (spun_ns := REAL.perf_counter_ns() - start_ns) < share * block.ns:
        pass
    added_ns = spun_ns if share else 0
    return replace(block, ns=block.ns + added_ns, wall_ns=block.wall_ns + added_ns)
