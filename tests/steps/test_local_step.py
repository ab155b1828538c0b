"""Prepared steps and the clock of a device, in one process with fakes."""

import subprocess
import sys
from collections.abc import Callable

from hpml_steps.clocks import Clock, CudaClock
from hpml_steps.local_step import LocalStep
from hpml_steps.metric import Metric


class Device:
    """Works off what is queued, and writes down what it is asked for."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.now_ms = 0.0

    def make_event(self) -> "Event":
        return Event(self)

    def synchronize(self) -> None:
        self.log.append("synchronize")


class Event:
    """A mark that knows when the device passed it."""

    def __init__(self, device: Device) -> None:
        self.device, self.at_ms = device, 0.0

    def record(self, stream: str) -> None:
        self.device.log.append(f"record on {stream}")
        self.at_ms = self.device.now_ms

    def synchronize(self) -> None:
        self.device.log.append("wait")

    def elapsed_time(self, later: "Event") -> float:
        return later.at_ms - self.at_ms


def test_the_device_is_drained_first_and_waited_for_once() -> None:
    device = Device()
    clock = CudaClock(device.make_event, synchronize=device.synchronize, stream=lambda: "stream 7")
    clock.start()
    device.now_ms += 1.25
    assert clock.stop() == 1_250_000
    assert device.log == ["synchronize", "record on stream 7", "record on stream 7", "wait"]


def test_a_local_step_is_timed_with_its_clock_and_read_afterwards() -> None:
    calls: list[int] = []
    step = LocalStep(
        run=lambda: calls.append(1),
        items_per_step=3,
        read_metrics=lambda: {"calls": Metric(value=len(calls), better="lower", margin=0.1)},
    )

    def timer(run: Callable[[], object], clock: Clock | None, iterations: int) -> int:
        assert clock is None
        for _ in range(iterations):
            run()
        return iterations

    assert step.measure(timer, 4) == [4]
    assert step.metrics["calls"].value == 4
    assert step.observe() == {}


def test_steps_are_light_to_import() -> None:
    heavy = "import sys; print([one for one in ('torch', 'numba', 'numpy') if one in sys.modules])"
    script = f"import hpml_steps.local_step, hpml_steps.incorrect; {heavy}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
