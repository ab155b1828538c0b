"""A case becomes a prepared step: built, checked against its reference, ready to be timed."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from math import isfinite
from typing import Any

from hpml_models.cases import registry
from hpml_models.cases.hardware import is_oversubscribed
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.training import TrainingCase
from hpml_models.inference.predictor import make_predictor
from hpml_models.instruments.clocks import clock_for
from hpml_models.instruments.memory import metrics_of, peak_memory_bytes
from hpml_models.instruments.traffic import traffic
from hpml_models.instruments.utilisation import utilisation
from hpml_models.precision import PRECISIONS, check_output_dtypes, output_dtypes
from hpml_models.prepare.build import build_batches, build_module
from hpml_models.prepare.world_step import WorldStep
from hpml_models.types import Rank, Split, Task
from hpml_models.variants import Trainer
from hpml_models.worlds.local import LocalWorld, device_of
from hpml_models.worlds.placed import PlacedWorld, RankHosts
from hpml_models.worlds.world import World
from hpml_steps.incorrect import Incorrect
from hpml_steps.local_step import LocalStep


def prepare_step(case: TrainingCase | InferenceCase) -> LocalStep | WorldStep:
    """Build the case and prove that each of its variants took effect.

    Starts a world of ranks where the strategy needs one. Raises
    :class:`~hpml_models.types.Incorrect` if a variant changed nothing or gives a wrong result.
    """
    if isinstance(case, TrainingCase) and registry.strategies()[case.strategy].needs_world:
        step = WorldStep(_world_of(case), prepare_on_rank, case)
        if step.items_per_step != case.batch:
            step.close()
            raise Incorrect(f"the ranks work on {step.items_per_step} samples, not {case.batch}")
        return step
    return prepare_on_rank(alone(case), case)


def _world_of(case: TrainingCase) -> World:
    """Start the case's ranks: here, or where a launcher has placed them."""
    if case.nodes:
        return PlacedWorld(RankHosts.published(), case.device)
    return LocalWorld(case.device_count, case.device)


def alone(case: TrainingCase | InferenceCase) -> Rank:
    """Return the rank of a process that is no part of a world."""
    return Rank(index=0, world_size=1, device=device_of(case.device, 0), kept={})


def prepare_on_rank(rank: Rank, case: TrainingCase | InferenceCase) -> LocalStep:
    """Prepare this rank's part of the case."""
    set_up_numerics()
    if isinstance(case, TrainingCase):
        return _training_step(rank, case)
    return _inference_step(rank, case)


def set_up_numerics() -> None:
    """State what timing runs use: one CPU thread per rank, TF32 off, cuDNN free to choose."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def environment(case: TrainingCase | InferenceCase) -> dict[str, Any]:
    """Read back what the process computes with."""
    import torch

    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "oversubscribed": is_oversubscribed(case),
    }


def observations(rank: Rank, run: Callable[[], object]) -> dict[str, Any]:
    """Return what a step of this rank reads beside the time."""
    return {
        "read_metrics": lambda: metrics_of(peak_memory_bytes(rank.device)),
        "observe": lambda: {"utilisation": utilisation(rank.device, run)},
    }


def _training_step(rank: Rank, case: TrainingCase) -> LocalStep:
    spec, strategy = case.spec, registry.strategies()[case.strategy]
    batches = build_batches(spec, case, rank.device)
    task = Task(
        module=build_module(spec, case, rank.device).train(),
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
    trainer = strategy.prepare(task)
    splits = [trainer.split(batch) for batch in batches]
    proof, sent = prove_training(task, trainer, splits)
    upcoming = cycle(splits)

    def run() -> object:
        return trainer.step(next(upcoming))

    return LocalStep(
        run=run,
        clock=clock_for(rank, in_world=strategy.needs_world),
        items_per_step=trainer.samples(splits[0]),
        effective={**environment(case), **proof, **trainer.proof(sent)},
        **observations(rank, run),
    )


def prove_training(
    task: Task, trainer: Trainer, splits: Sequence[Split]
) -> tuple[dict[str, Any], Mapping[str, int]]:
    """Take some steps; read back losses, the dtype of products, and bytes exchanged.

    Bytes are counted in the second step: the first may set things up, and counting slows down
    what the steps after it show of a schedule.
    """
    with output_dtypes(task.module) as dtypes:
        losses = [float(trainer.step(splits[0]))]
        with traffic() as sent:
            losses.append(float(trainer.step(splits[-1])))
    losses += [float(trainer.step(split)) for split in splits]
    if not all(isfinite(loss) for loss in losses):
        raise Incorrect(f"training gives losses {losses}")
    dtype = check_output_dtypes(dtypes, task.precision)
    return {"losses": losses, "output_dtype": dtype, "sent_bytes": {**sent}}, sent


def _inference_step(rank: Rank, case: InferenceCase) -> LocalStep:
    import torch

    batches = build_batches(case.spec, case, rank.device)
    with torch.inference_mode():
        module = build_module(case.spec, case, rank.device).eval()
    predict, proof = make_predictor(
        module,
        batches[0].inputs,
        rank.device,
        precision=PRECISIONS[case.precision],
        runtime=registry.runtimes()[case.runtime],
        quantization=registry.quantizations()[case.quantization],
    )
    upcoming = cycle(batches)

    def run() -> object:
        return predict(**next(upcoming).inputs)

    return LocalStep(
        run=run,
        clock=clock_for(rank, in_world=False),
        items_per_step=len(batches[0]),
        effective={**environment(case), **proof},
        **observations(rank, run),
    )
