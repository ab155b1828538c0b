"""Solo launches: one side alone, as the baselines are recorded and screened."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hpml_gate.measure.block import Calibration, Plan
from hpml_gate.measure.disturbance import Counters, between
from hpml_gate.measure.environment import cpus_of_launch
from hpml_gate.measure.launch import Deadline, Request, Side, Worker, workers
from hpml_gate.measure.samples import Launch, Samples, launch_of


def measure(  # noqa: PLR0913  one keyword for each thing that a user may set
    order: Request,
    *,
    case_id: str,
    launches: int,
    cpus: int | None,
    timeout_s: float,
    progress: Callable[[int], None],
) -> Samples:
    """Measure a step in ``launches`` fresh processes with equal iterations.

    ``progress`` is told the number of the launch, from 1, about every second. Raises LaunchError
    when a launch raises, dies or exceeds ``timeout_s``.
    """
    done: list[Launch] = []
    while len(done) < launches:
        numbers = range(len(done), min(len(done) + _at_once(order, cpus), launches))
        deadline = Deadline(timeout_s=timeout_s, tick=lambda: progress(numbers.start + 1))  # noqa: B023
        iterations = done[0].iterations if done else None
        done += _launch(numbers, order, cpus, iterations, deadline)
    return Samples.of(case_id, done)


def _at_once(order: Request, cpus: int | None) -> int:
    """Return how many launches are prepared at the same time; they are timed one by one.

    Preparing is most of a launch. What needs the whole machine, or a GPU, is prepared alone, and
    so is a test: its fixtures may need a port or a lock for themselves.
    """
    if cpus is None or order.is_test:
        return 1
    return max(1, min(2, len(cpus_of_launch(0, None)) // cpus))


def _launch(
    numbers: Sequence[int],
    order: Request,
    cpus: int | None,
    iterations: int | None,
    deadline: Deadline,
) -> list[Launch]:
    done = []
    here = cpus_of_launch(0, None)
    with workers([(Side(), order) for _ in numbers], here, cpus, deadline) as started:
        for number, worker in zip(numbers, started, strict=True):
            worker.pin(None if cpus is None else cpus_of_launch(number, cpus))
            launch = _time(worker, iterations)
            done.append(launch if number else _observed(worker, launch))
            iterations = launch.iterations
    return done


def _observed(worker: Worker, launch: Launch) -> Launch:
    return replace(launch, effective={**launch.effective, **worker.ask("observe")})


def _time(worker: Worker, iterations: int | None) -> Launch:
    plan = Plan()
    warm: Calibration = worker.ask("warm_up", plan)
    iterations = iterations or warm.iterations
    before = Counters.read()
    blocks = tuple(tuple(worker.time(iterations)) for _ in range(plan.blocks))
    return launch_of(worker.facts(), iterations, blocks, between(before, Counters.read(), blocks))
