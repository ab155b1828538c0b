"""Solo launches: one side alone, as the baselines are recorded and screened."""

from collections.abc import Callable

from hpml_gate import quiet
from hpml_gate.diagnostics import Counters, between
from hpml_gate.launch import Patience, Side, workers
from hpml_gate.measure import Plan
from hpml_gate.samples import Launch, Samples, launch_of
from hpml_gate.worker import Order


def measure(  # noqa: PLR0913  one keyword for each thing that a user may set
    order: Order,
    *,
    case_id: str,
    launches: int,
    cpus: int | None,
    timeout_s: float,
    progress: Callable[[int], None],
) -> Samples:
    """Measure a step in ``launches`` fresh processes with equal iterations.

    ``progress`` is told the number of the launch, from 1, about every second. Raises
    :class:`~hpml_gate.launch.LaunchError` when a launch raises, dies or exceeds ``timeout_s``.
    """
    done: list[Launch] = []
    for number in range(launches):
        patience = Patience(timeout_s=timeout_s, tick=lambda: progress(number + 1))  # noqa: B023
        iterations = done[0].iterations if done else None
        done.append(_launch(number, order, cpus, iterations, patience))
    return Samples.of(case_id, done)


def _launch(
    number: int, order: Order, cpus: int | None, iterations: int | None, patience: Patience
) -> Launch:
    plan = Plan()
    here = quiet.cpus_of_launch(number, cpus)
    with workers([(Side(), order)], here, cpus, patience) as (worker,):
        worker.ask("warm_up", plan)
        iterations = iterations or worker.ask("calibrate", plan)
        before = Counters.read()
        blocks = tuple(tuple(worker.time(iterations)) for _ in range(plan.blocks))
        disturbance = between(before, Counters.read(), blocks)
        return launch_of(worker.facts(), iterations, blocks, disturbance)
