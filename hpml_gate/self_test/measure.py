"""The self-test: the same code on both sides, with and without slowdowns planted in one of them.

Every launch of a case measures all planted shares, in an order drawn anew; every third is measured
while other processes keep all CPUs busy. A share is planted in the timing of a block: when the
steps are over, the head goes on working for that share of the time that they took.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

from hpml_gate.measure.environment import cpus_of_launch
from hpml_gate.measure.launch import Deadline, Side
from hpml_gate.measure.paired import InterleavedPair, Pair, interleaved_pair
from hpml_gate.measure.samples import Observation, Samples
from hpml_gate.run.case import Case
from hpml_gate.run.progress import Progress
from hpml_gate.run.session import GateSession, MeasuredCase
from hpml_gate.self_test.planted import slowed

SHARES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
LOADED_EVERY = 3
SPIN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"  # ends with its parent


def measure(gate: GateSession, case: Case, progress: Progress) -> MeasuredCase:
    """Measure ``--gate-launches`` launches of a case; nothing is judged."""
    pairs: list[Pair] = []
    observations: list[Observation] = []
    for number in range(gate.settings.launches):
        is_loaded = number % LOADED_EVERY == LOADED_EVERY - 1
        text = (
            f"{case.id}  launch {number + 1} of {gate.settings.launches}"
            + " under load" * is_loaded
        )
        deadline = Deadline(timeout_s=gate.settings.timeout_s, tick=partial(progress, text))
        sides = (Side(name="base"), case.order), (Side(), case.order)
        with (
            _load(is_loaded * len(cpus_of_launch(0, None))),
            interleaved_pair(number, *sides, case.cpus, deadline) as both,
        ):
            observations += _observe(case, both, Random(number), pairs, is_loaded=is_loaded)  # noqa: S311
    progress.clear()
    return MeasuredCase(
        case=case,
        samples=Samples.of(case.id, [pair.head for pair in pairs]),
        verdicts=(),
        observations=observations,
    )


def _observe(
    case: Case, both: InterleavedPair, order: Random, pairs: list[Pair], *, is_loaded: bool
) -> Iterator[Observation]:
    warm_up_s = both.seconds
    for share in order.sample(SHARES, k=len(SHARES)):
        start_s = both.seconds
        pair = both.measure(both.turns, partial(slowed, 0.0), partial(slowed, share))
        pairs.append(pair)
        yield Observation(
            case_id=case.id,
            is_loaded=is_loaded,
            share=share,
            log_ratio=pair.log_ratio,
            seconds=warm_up_s + both.seconds - start_s,
            base_ns=pair.base.step_ns,
            head_ns=pair.head.step_ns,
        )


@contextmanager
def _load(cpus: int) -> Iterator[None]:
    """Run another process for each of so many CPUs."""
    spin = [sys.executable, "-c", SPIN, str(os.getpid())]
    running = [subprocess.Popen(spin) for _ in range(cpus)]  # noqa: S603  a fixed command
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
