"""Timing itself, under a fake clock: what is inside a block's time and what is not."""

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from math import log
from time import perf_counter_ns

import pytest

from hpml_gate.measure.block import Plan, time_block, warm_up
from hpml_gate.measure.disturbance import Counters, Disturbance, between, name
from hpml_gate.measure.environment import cpus_of_launch
from hpml_gate.measure.paired import Pair
from hpml_gate.measure.samples import Launch, Samples
from hpml_gate.protocol import BlockTime, Clock, FunctionStep
from hpml_gate.self_test.planted import slowed


class FakeTime:
    """A host clock that only moves when told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def work(self, duration_ns: int) -> Callable[[], None]:
        def run() -> None:
            self.now_ns += duration_ns

        return run

    def timer(self, run: Callable[[], object], clock: Clock | None, iterations: int) -> BlockTime:
        return time_block(run, clock, iterations, now_ns=self)


class AsynchronousDevice:
    """A device that takes work at once and does it later, as a GPU does."""

    def __init__(self, host: FakeTime, step_ns: int) -> None:
        self.host, self.step_ns, self.queued = host, step_ns, 0

    def launch(self) -> None:
        self.queued += 1
        self.host.now_ns += 1

    def start(self) -> None:
        self.host.now_ns += self.queued * self.step_ns
        self.queued = 0

    def stop(self) -> int | None:
        device_ns = self.queued * self.step_ns
        self.host.now_ns += device_ns
        self.queued = 0
        return device_ns


def test_a_block_is_what_its_iterations_take() -> None:
    time = FakeTime()
    block = time.timer(time.work(7), None, 10)
    assert (block.ns, block.wall_ns) == (70, 70)


def test_nothing_is_collected_inside_a_block_and_the_collector_is_on_after_it() -> None:
    seen: list[bool] = []
    time_block(lambda: seen.append(gc.isenabled()), None, 2)
    assert seen == [False, False]
    assert gc.isenabled()


def test_a_block_counts_its_page_faults_and_its_own_cpu_time() -> None:
    touched: list[bytearray] = []
    block = time_block(lambda: touched.append(bytearray(64 * 2**20)), None, 1)
    assert block.page_faults > 0
    assert 0 < block.cpu_ns <= 10 * block.wall_ns


def test_work_queued_before_a_block_is_not_in_its_time() -> None:
    time = FakeTime()
    device = AsynchronousDevice(time, step_ns=100)
    device.launch()
    assert time.timer(device.launch, device, 5).ns == 500


def test_the_device_is_waited_for() -> None:
    """Without the clock's stop the host would see 5 ns where the device works for 500."""
    time = FakeTime()
    device = AsynchronousDevice(time, step_ns=100)
    assert time.timer(device.launch, None, 5).ns == 5
    block = time.timer(device.launch, device, 5)
    assert (block.ns, block.wall_ns) == (500, 505)


def test_a_slow_first_call_moves_neither_the_block_size_nor_the_samples() -> None:
    time = FakeTime()
    durations = iter([10**10, 10**9, 10**8])

    def run() -> None:
        time.now_ns += next(durations, 1000)

    plan, step = Plan(block_ns=1_000_000, warmup_ns=10_000), FunctionStep(run=run)
    assert warm_up(step, plan, time.timer).iterations == 1000


@pytest.mark.parametrize(("step_ns", "iterations"), [(10, 100), (1000, 1), (5000, 1)])
def test_calibration_fills_a_block(step_ns: int, iterations: int) -> None:
    time = FakeTime()
    step = FunctionStep(run=time.work(step_ns))
    calibration = warm_up(step, Plan(block_ns=1000, warmup_ns=0), time.timer)
    assert (calibration.iterations, calibration.step_ns) == (iterations, step_ns)


def test_warming_up_goes_on_for_its_time() -> None:
    time = FakeTime()
    plan = Plan(block_ns=100, warmup_steps=3, warmup_ns=1000)
    warm_up(FunctionStep(run=time.work(100)), plan, time.timer)
    assert time.now_ns == 100 + 1000  # the first step, then the time


QUIET = Disturbance(
    busy_share=0.5, own_share=0.5, steal_share=0, preemptions_per_s=0, page_faults_per_block=0
)


def launch_of_blocks(blocks: tuple[tuple[BlockTime, ...], ...], iterations: int) -> Launch:
    return Launch(
        iterations=iterations,
        blocks=blocks,
        effective={"dtype": "float32"},
        items_per_step=4,
        metrics={},
        disturbance=QUIET,
    )


def test_a_world_is_as_fast_as_its_slowest_rank() -> None:
    blocks = ((BlockTime(ns=10, wall_ns=12), BlockTime(ns=30, wall_ns=36)),) * 3
    launch = launch_of_blocks(blocks, iterations=2)
    assert launch.step_ns == [15.0] * 3
    assert launch.skew_ns == 10.0
    assert launch.wall_over_device == pytest.approx(1.2)


def test_samples_keep_every_block_and_derive_the_rest() -> None:
    launches = [
        launch_of_blocks(tuple((BlockTime(ns=ns, wall_ns=ns),) for ns in times), iterations=1)
        for times in ([1, 2, 9], [3, 4, 5])
    ]
    samples = Samples.of("case", launches)
    assert samples.step_ns == ((1, 2, 9), (3, 4, 5))
    assert samples.launch_medians_ns == [2, 4]
    assert samples.median_ns == 3
    assert samples.items_per_s == pytest.approx(4 / 3 * 1e9)
    assert samples.effective["dtype"] == "float32"


def test_a_pair_is_the_median_over_its_turns_of_head_over_base() -> None:
    """A steady drift over a turn cancels: base, head, head, base take 10, 22, 24, 13."""
    base = launch_of_blocks(tuple((BlockTime(ns=ns, wall_ns=ns),) for ns in (10, 13)), iterations=1)
    head = launch_of_blocks(tuple((BlockTime(ns=ns, wall_ns=ns),) for ns in (22, 24)), iterations=1)
    pair = Pair(base=base, head=head)
    assert pair.log_ratio == pytest.approx(log(22 * 24 / (10 * 13)) / 2)


def test_each_launch_gets_its_own_cpus_in_turn() -> None:
    there = sorted(os.sched_getaffinity(0))
    assert cpus_of_launch(0, None) == there
    assert [cpus_of_launch(number, 1) for number in range(len(there))] == [[cpu] for cpu in there]
    assert cpus_of_launch(3, len(there) + 5) == there


def test_a_disturbed_launch_says_by_what() -> None:
    before, after = (
        Counters(busy_s=0, idle_s=0, steal_s=0),
        Counters(busy_s=9, idle_s=0.5, steal_s=0.5),
    )
    block = BlockTime(ns=10**9, wall_ns=10**9, cpu_ns=10**9, page_faults=50, preemptions=30)
    named = name([between(before, after, [(block,)])])
    assert "other processes used 80%" in named
    assert "hypervisor took 5%" in named
    assert "preempted 30 times a second" in named
    assert "50 page faults" in named
    assert name([QUIET]) == ""
    slow, fast = replace(QUIET, cpu_mhz=2000.0), replace(QUIET, cpu_mhz=3000.0)
    assert "clock went from 2000 to 3000 MHz" in name([slow, fast])


def test_a_planted_share_is_added_to_what_the_block_took() -> None:
    taken_ns = []

    def run() -> None:
        start_ns = perf_counter_ns()
        sum(range(10_000))
        taken_ns.append(perf_counter_ns() - start_ns)

    assert slowed(0.5, run, None, 20).ns >= 1.5 * sum(taken_ns)
