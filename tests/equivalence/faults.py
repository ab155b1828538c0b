"""Parallel training done wrong, in the ways it goes wrong: the property must catch each.

No pytest here: ranks import this file.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, cast

import torch
from problem import Problem, task_of
from torch import Tensor, nn

from hpml_models.cases import registry
from hpml_models.instruments.traffic import traffic
from hpml_models.pipelines.torch_engine import PipelineTrainer
from hpml_models.strategies.ddp import DdpTrainer
from hpml_models.strategies.fsdp import FsdpTrainer
from hpml_models.strategies.pipeline import SCHEDULES
from hpml_models.strategies.tensor_parallel import TensorParallelTrainer
from hpml_models.strategies.zero1 import Zero1Trainer
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import Batch, Rank, Split, Task
from hpml_models.variants import Trainer
from hpml_steps.incorrect import Incorrect


class Unweighted(DdpTrainer):
    """Uneven shards count as if they were even: the wrong denominator."""

    def split(self, batch: Batch) -> Split:
        even = 1 / (self.replicas * self.task.micro_batches)
        split = super().split(batch)
        return replace(
            split, micro_batches=[one._replace(weight=even) for one in split.micro_batches]
        )


class Summed(DdpTrainer):
    """Gradients are summed where they should be averaged."""

    def split(self, batch: Batch) -> Split:
        split = super().split(batch)
        summed = [one._replace(weight=one.weight * self.replicas) for one in split.micro_batches]
        return replace(split, micro_batches=summed)


class Unreduced(DdpTrainer):
    """The all-reduce is left out."""

    def step(self, split: Split) -> Tensor:
        with self.module.no_sync():  # type: ignore[operator]  # DistributedDataParallel has it
            return super().step(split)


class LeftOutBucket(DdpTrainer):
    """The last layer's gradient is that of the step before: its bucket came too late."""

    _before: Tensor | None = None

    def clip(self, largest_norm: float) -> None:
        last = list(self.task.module.parameters())[-1]
        assert last.grad is not None
        fresh = last.grad.clone()
        last.grad.copy_(torch.zeros_like(fresh) if self._before is None else self._before)
        self._before = fresh
        super().clip(largest_norm)


class Dropped(DdpTrainer):
    """The last micro-batch is left out."""

    def step(self, split: Split) -> Tensor:
        return super().step(replace(split, micro_batches=split.micro_batches[:-1]))


class RunTwice(DdpTrainer):
    """The first micro-batch runs once more."""

    def step(self, split: Split) -> Tensor:
        first, *others = split.micro_batches
        return super().step(replace(split, micro_batches=[first, first, *others]))


class UnclippedShard(DdpTrainer):
    """One rank does not clip."""

    def clip(self, largest_norm: float) -> None:
        if self.task.rank.index:
            super().clip(largest_norm)


class ClippedByStage(PipelineTrainer):
    """Each stage clips by its own norm, as if it were the whole model."""

    def _clip(self) -> None:
        nn.utils.clip_grad_norm_(self.own.values(), float(self._recipe.clip_norm or 0))


def prepare_pipeline(task: Task, made: type[PipelineTrainer] = PipelineTrainer) -> Trainer:
    schedule = SCHEDULES[task.variant]
    return made(task, schedule.name, schedule.stages_per_rank)


def clipped_by_stage(task: Task) -> Trainer:
    return prepare_pipeline(task, ClippedByStage)


def out_of_order(task: Task) -> Trainer:
    """Two blocks in the middle change places."""
    links: Any = task.module
    links[3], links[4] = links[4], links[3]
    return prepare_pipeline(task)


def seeded_by_rank(task: Task) -> Trainer:
    """Each rank draws its weights from a seed of its own."""
    generator = torch.Generator().manual_seed(task.rank.index)
    for parameter in task.module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return prepare_pipeline(task)


class ReplicasApart(PipelineTrainer):
    """Replicas of a pipeline do not add their gradients up."""

    def _meet_replicas(self) -> None:
        pass


def replicas_apart(task: Task) -> Trainer:
    return prepare_pipeline(task, ReplicasApart)


def untied(task: Task) -> Trainer:
    """A weight that two layers share becomes two."""
    links: Any = task.module
    links[-1].up.weight = nn.Parameter(links[-1].up.weight.detach().clone())
    return registry.strategies()["fsdp"].prepare(task)


class Unsharded(Zero1Trainer):
    """Every rank keeps the optimizer state of all parameters."""

    def make_optimizer(self) -> Any:
        return DdpTrainer.make_optimizer(self)

    @property
    def state(self) -> Any:
        return self.optimizer.state


class Unwrapped(FsdpTrainer):
    """Every rank keeps whole replicas, which meet as DDP has it."""

    def __init__(self, task: Task) -> None:
        self.replicas = task.rank.world_size
        EagerTrainer.__init__(self, task, nn.parallel.DistributedDataParallel(task.module))

    def accumulating(self, *, is_last: bool) -> AbstractContextManager[object]:  # noqa: ARG002
        return nullcontext()


class Uncut(TensorParallelTrainer):
    """The plan is empty: every rank computes everything."""

    def __init__(self, task: Task) -> None:
        super().__init__(replace(task, spec=replace(task.spec, tensor_plan=lambda _: {})))


def fewer_micro_batches(task: Task) -> Trainer:
    """Half of the micro-batches that were asked for."""
    trainer: Any = prepare_pipeline(replace(task, micro_batches=task.micro_batches // 2))
    trainer._task = task  # noqa: SLF001  what was asked for
    return cast("Trainer", trainer)


def gpipe_for_1f1b(task: Task) -> Trainer:
    """Another schedule than the variant's name says."""
    return PipelineTrainer(task, "ScheduleGPipe")


def whole_backward(task: Task) -> Trainer:
    """Backward passes are not split, as zero bubble does: interleaved 1F1B runs."""
    return PipelineTrainer(task, "ScheduleInterleaved1F1B", 2)


class RootOnly(FsdpTrainer):
    """Everything is one unit: it is gathered at once, and nothing overlaps."""

    def __init__(self, task: Task) -> None:
        pipeline_layers = task.spec.pipeline_layers
        super().__init__(replace(task, spec=replace(task.spec, pipeline_layers=None)))
        self.task = replace(task, spec=replace(task.spec, pipeline_layers=pipeline_layers))


class MetEachTime(FsdpTrainer):
    """Gradients are scattered behind every micro-batch."""

    def accumulating(self, *, is_last: bool) -> AbstractContextManager[object]:  # noqa: ARG002
        return super().accumulating(is_last=True)


class CutOnce(TensorParallelTrainer):
    """One pair of matrices is cut, the others stay whole."""

    def __init__(self, task: Task) -> None:
        assert task.spec.tensor_plan is not None
        plan = [*task.spec.tensor_plan(task.module).items()]
        pair = {name: style for name, style in plan if name.startswith("0.")}
        super().__init__(replace(task, spec=replace(task.spec, tensor_plan=lambda _: pair)))


def prove_other_stage(rank: Rank, asked: int, problem: Problem) -> str:
    """Let DeepSpeed run the problem's stage where another was asked for."""

    def prepare(task: Task) -> Trainer:
        trainer: Any = registry.strategies()["deepspeed_zero"].prepare(task)
        trainer._task = replace(task, variant=f"zero{asked}")  # noqa: SLF001  what was asked for
        return cast("Trainer", trainer)

    return prove(rank, prepare, "deepspeed_zero", problem)


def prove(rank: Rank, prepare: Any, strategy: str, problem: Problem) -> str:
    """Take some steps, then ask the trainer for its proof: what it objects to, or "believed"."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(problem.seed)
    batches = [problem.make_batch(problem.batch, generator) for _ in range(2)]
    trainer = prepare(task_of(problem, problem.build(), batches[0].inputs, rank, strategy))
    trainer.step(trainer.split(batches[0]))
    with traffic() as sent:
        trainer.step(trainer.split(batches[1]))
    try:
        trainer.proof(sent)
    except Incorrect as error:
        return str(error)
    return "believed"
