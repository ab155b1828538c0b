"""Timing itself, under a fake clock: what is inside a block's time and what is not."""

from collections.abc import Callable

import pytest

from hpml_gate.measure import Plan, calibrate, measure_launch, time_block, warm_up
from hpml_gate.protocol import BlockTime, Clock, FunctionStep
from hpml_gate.samples import Launch, Samples


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
    assert time.timer(time.work(7), None, 10) == BlockTime(ns=70, wall_ns=70)


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
    assert time.timer(device.launch, device, 5) == BlockTime(ns=500, wall_ns=505)


def test_a_slow_first_call_moves_neither_the_block_size_nor_the_samples() -> None:
    time = FakeTime()
    durations = iter([10**10, 10**9, 10**8])

    def run() -> None:
        time.now_ns += next(durations, 1000)

    plan = Plan(blocks=4, block_ns=1_000_000, warmup_ns=10_000)
    launch = measure_launch(FunctionStep(run=run), plan, time.timer)
    assert launch.iterations == 1000
    assert launch.step_ns == [1000.0] * 4


@pytest.mark.parametrize(("step_ns", "iterations"), [(10, 100), (1000, 1), (5000, 1)])
def test_calibration_fills_a_block(step_ns: int, iterations: int) -> None:
    time = FakeTime()
    step = FunctionStep(run=time.work(step_ns))
    assert calibrate(step, Plan(block_ns=1000), time.timer) == iterations


def test_calibration_is_left_to_the_first_launch() -> None:
    time = FakeTime()
    step = FunctionStep(run=time.work(10))
    assert measure_launch(step, Plan(iterations=7, warmup_ns=10), time.timer).iterations == 7


def test_warming_up_goes_on_for_its_time() -> None:
    time = FakeTime()
    warm_up(FunctionStep(run=time.work(100)), Plan(warmup_steps=3, warmup_ns=1000), time.timer)
    assert 1300 <= time.now_ns <= 3000


def test_a_world_is_as_fast_as_its_slowest_rank() -> None:
    blocks = ((BlockTime(ns=10, wall_ns=12), BlockTime(ns=30, wall_ns=36)),) * 3
    launch = Launch(iterations=2, blocks=blocks, effective={}, items_per_step=8)
    assert launch.step_ns == [15.0] * 3
    assert launch.skew_ns == 10.0
    assert launch.wall_over_device == pytest.approx(1.2)


def test_samples_keep_every_block_and_derive_the_rest() -> None:
    launches = [
        Launch(
            iterations=1,
            blocks=tuple((BlockTime(ns=ns, wall_ns=ns),) for ns in times),
            effective={"dtype": "float32"},
            items_per_step=4,
        )
        for times in ([1, 2, 9], [3, 4, 5])
    ]
    samples = Samples.of("case", launches)
    assert samples.step_ns == ((1, 2, 9), (3, 4, 5))
    assert samples.launch_medians_ns == [2, 4]
    assert samples.median_ns == 3
    assert samples.items_per_s == pytest.approx(4 / 3 * 1e9)
    assert samples.effective["dtype"] == "float32"
