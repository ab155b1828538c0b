"""A rank's part of a training case: built, proven, then timed, all by the same callable."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from hpml_models.cases import registry
from hpml_models.cases.training import TrainingCase
from hpml_models.instruments.clocks import clock_for
from hpml_models.instruments.digest import digest
from hpml_models.instruments.traffic import Traffic, traffic
from hpml_models.precision import PRECISIONS, check_output_dtypes, output_dtypes
from hpml_models.prepare.build import build_batches, build_module
from hpml_models.prepare.readings import environment, readings
from hpml_models.prepare.reference import loss_of_one_device, model_bytes_of_one_device
from hpml_models.types import Rank, Split, Task
from hpml_models.variants import Trainer
from hpml_steps.incorrect import Incorrect
from hpml_steps.local_step import LocalStep

if TYPE_CHECKING:
    from torch import Tensor


class TrainingSteps:
    """An optimisation step at each call, on one batch after the other."""

    def __init__(self, trainer: Trainer, splits: Sequence[Split]) -> None:
        """Go through this rank's splits of the batches again and again."""
        self._trainer, self._splits = trainer, splits
        self._calls = 0

    def __call__(self) -> "Tensor":
        """Do the next step; return this rank's term of the loss."""
        split = self._splits[self._calls % len(self._splits)]
        self._calls += 1
        return self._trainer.step(split)

    def check(self) -> None:
        """Raise ``Incorrect`` unless each call updated the parameters once."""
        if self._trainer.updates != self._calls:
            raise Incorrect(
                f"{self._calls} steps updated the parameters {self._trainer.updates} times"
            )


def training_step(rank: Rank, case: TrainingCase) -> LocalStep:
    """Build a rank's part of the case, prove it, and return it ready to be timed."""
    spec, strategy = case.spec, registry.strategies()[case.strategy]
    batches = build_batches(spec, case, rank.device)
    task = Task(
        module=build_module(spec, case.options, rank.device).train(),
        spec=spec,
        precision=PRECISIONS[case.precision],
        rank=rank,
        example=batches[0].inputs,
        device_count=case.device_count,
        strategy=case.strategy,
        variant=case.variant,
        stages=case.stages,
        micro_batches=case.micro_batches,
    )
    single = model_bytes_of_one_device(task)
    facts = {
        **environment(case),
        "weights": digest(task.module.state_dict()),
        "batches": [digest({**one.inputs, **one.targets}) for one in batches],
        **loss_of_one_device(task, batches[0], strategy.replicas(case)),
        "model_bytes_in_theory": strategy.model_bytes_in_theory(case, single),
        "traffic_in_theory": strategy.traffic_in_theory(case, single),
    }
    trainer = strategy.prepare(task)
    splits = [trainer.split(batch) for batch in batches]
    run = TrainingSteps(trainer, splits)
    proof, sent = prove_training(task, run, len(splits))
    return LocalStep(
        run=run,
        clock=clock_for(rank, in_world=strategy.needs_world),
        items_per_step=trainer.samples(splits[0]),
        effective={**facts, **proof, **trainer.proof(sent)},
        **readings(rank, run, run.check),
    )


def prove_training(task: Task, run: TrainingSteps, batches: int) -> tuple[dict[str, Any], Traffic]:
    """Take some steps; read back losses, the dtype of products, and bytes exchanged.

    Bytes are counted in the second step: the first may set things up, and counting slows down
    what the steps after it show of a schedule.
    """
    with output_dtypes(task.module) as dtypes:
        losses = [float(run())]
        with traffic() as sent:
            losses.append(float(run()))
    losses += [float(run()) for _ in range(batches)]
    run.check()
    if not all(isfinite(loss) for loss in losses):
        raise Incorrect(f"training gives losses {losses}")
    dtype = check_output_dtypes(dtypes, task.precision)
    return {"losses": losses, "output_dtype": dtype, "sent_bytes": {**sent.bytes}}, sent
