"""1F1B beside its own ideal, and beside DeepSpeed's pipeline on the same cut.

Run it with ``python benchmarks/pipeline_overhead.py``. The ideal is the step of one device with the
same micro-batches, by the number of stages, lengthened by the schedule's bubble. All three stand at
the same time and take turns of some steps, in an order drawn anew; the figures are ratios of a
turn's times, over several fresh launches. It needs a core for each stage.
"""

import os
import random
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from math import log
from multiprocessing import get_context
from statistics import median

from ratios import told

from hpml_gate.measure.block import time_block
from hpml_gate.measure.environment import QUIET_ENVIRONMENT
from hpml_gate.protocol import Step
from hpml_models.cases.hardware import is_oversubscribed
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.pipelines.bubble import bubble_of_1f1b
from hpml_models.prepare.step import prepare_step

LAUNCHES = 6
TURNS, STEPS = 10, 4  # steps follow each other as in training, without a barrier between them
STAGES, MICRO_BATCHES, BATCH = 2, 8, 64
SHARED = log((1 - bubble_of_1f1b(STAGES, MICRO_BATCHES)) * STAGES)  # how much faster, at best


SETTING = Setting(device="cpu", preset="tiny")


def case_of(strategy: str, variant: str = "", stages: int = STAGES) -> TrainingCase:
    """Return the case of an encoder like BERT that all strategies share."""
    return TrainingCase.make(
        SETTING,
        {
            "model": "bert",
            "model_options": (),
            "batch": BATCH,
            "strategy": strategy,
            "device_count": stages,
            "variant": variant,
            "stages": stages,
            "micro_batches": MICRO_BATCHES,
            "precision": "fp32",
        },
    )


def log_ns(step: Step) -> float:
    """Return the logarithm of the slowest rank's nanoseconds for a turn."""
    return log(max(block.ns for block in step.measure(time_block, STEPS)))


def log_ratios(launch: int) -> tuple[float, float]:
    """Return the medians over turns of 1F1B by its ideal, and by DeepSpeed's pipeline."""
    order = random.Random(launch)  # noqa: S311  nothing secret
    made = [case_of("single", stages=1), case_of("pipeline", "1f1b"), case_of("deepspeed_pipeline")]
    with ExitStack() as stack:
        steps = [stack.enter_context(closing(prepare_step(case))) for case in made]
        for step in steps:
            step.measure(time_block, 5)  # warm-up
        turns = [
            {index: log_ns(steps[index]) for index in order.sample(range(len(steps)), k=len(steps))}
            for _ in range(TURNS)
        ]
    by_ideal = median(turn[1] - (turn[0] - SHARED) for turn in turns)
    return by_ideal, median(turn[1] - turn[2] for turn in turns)


def main() -> None:
    """Print both ratios over fresh launches with their standard errors."""
    case = case_of("deepspeed_pipeline")
    if reason := case.why_not(SETTING):
        raise SystemExit(reason)
    if is_oversubscribed(case):
        raise SystemExit(f"no_hardware: {STAGES} stages need {STAGES} cores")
    os.environ.update(QUIET_ENVIRONMENT, OMP_NUM_THREADS="1")  # as in the suite's own launches
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        launches = list(pool.map(log_ratios, range(LAUNCHES)))
    for name, logs in zip(("its ideal", "DeepSpeed's"), zip(*launches, strict=True), strict=True):
        print(told(f"1F1B / {name}", logs, f"{TURNS} turns"))  # noqa: T201  the figures


if __name__ == "__main__":
    main()
