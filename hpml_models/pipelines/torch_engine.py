"""Training in stages that ranks hand activations along, by torch.distributed.pipelining.

Imports torch: import it where a step is prepared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import pipelining
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from hpml_models.instruments.traffic import Traffic
from hpml_models.pipelines.bubble import BusyTime, bubble_of_1f1b, bubble_of_order
from hpml_models.pipelines.order import Chunk, ChunkOrder, in_flight_in_theory
from hpml_models.pipelines.stages import cut, own_buffers
from hpml_models.precision import autocast
from hpml_models.training.evidence import Updates, spread_over_ranks, total_over_ranks, world_facts
from hpml_models.training.micro_batches import split_batch, weigh
from hpml_models.training.trainer import restore_into, snapshot_of
from hpml_models.types import Batch, MicroBatch, Snapshot, Split, Task
from hpml_models.variants import Trainer
from hpml_models.worlds.meshes import mesh_of
from hpml_steps.incorrect import Incorrect

CHUNKS: dict[str, Chunk] = {
    "forward_one_chunk": "F",
    "backward_one_chunk": "B",
    "backward_weight_one_chunk": "W",
}


class PipelineTrainer(Trainer):
    """One rank's stages of one replica; replicas add their gradients up after the schedule.

    ``schedule`` is a class of torch.distributed.pipelining, ``stages_per_rank`` how many stages
    of it a rank holds. Ranks of a replica are neighbours: rank = replica * stages + stage.
    """

    def __init__(self, task: Task, schedule: str, stages_per_rank: int = 1) -> None:
        """Keep this rank's stages and let the rest of the model go."""
        self._task, self._recipe, self._rank = task, task.spec.recipe, task.rank
        self._count = task.micro_batches
        self.replicas = task.rank.world_size // task.stages
        self._replica = task.rank.index // task.stages
        mesh = mesh_of(task.rank, replica=self.replicas, stage=task.stages)
        self._stage_group = mesh.get_group("stage")
        self._replica_group = mesh.get_group("replica")
        self._busy, self._forwards = BusyTime(task.rank.device), 0
        self._micro_batches: Sequence[MicroBatch] = ()
        self._order = ChunkOrder()
        self.stages = self._make_stages(task, stages_per_rank)
        self.schedule = self._make_schedule(schedule, task.micro_batches)
        self._model_bytes = sum(parameter.nbytes for parameter in task.module.parameters())
        self.own = _own_parameters(task.module, [stage.submod for stage in self.stages])
        self.optimizer = self._recipe.make_optimizer(self.own.items())
        self._updates = Updates(self.optimizer)

    def _make_stages(self, task: Task, per_rank: int) -> list[pipelining.PipelineStage]:
        modules = cut(task, task.stages * per_rank)
        place, device = task.rank.index % task.stages, torch.device(task.rank.device)
        stages = [
            pipelining.PipelineStage(
                modules[index], index, len(modules), device, group=self._stage_group
            )
            for index in range(place, len(modules), task.stages)
        ]
        for stage in stages:
            stage.submod.register_forward_hook(self._count_forward)
            for name, chunk in CHUNKS.items():
                call = self._order.noting(chunk, getattr(stage, name))
                setattr(stage, name, self._busy.timing(call))
        return stages

    def _make_schedule(self, name: str, count: int) -> Any:
        made = getattr(pipelining, name)
        several = issubclass(made, pipelining.schedules.PipelineScheduleMulti)
        return made(
            self.stages if several else self.stages[0],
            count,
            loss_fn=self._weighted_loss,
            scale_grads=False,  # the loss of each micro-batch is weighted already
        )

    def split(self, batch: Batch) -> Split:
        """Cut the replica's micro-batches out, as the schedule will."""
        return split_batch(
            batch,
            self._recipe,
            replica=self._replica,
            replicas=self.replicas,
            count=self._count,
        )

    def samples(self, split: Split) -> int:
        """Count them where they come in."""
        return len(split.batch) if any(stage.is_first for stage in self.stages) else 0

    def step(self, split: Split) -> Tensor:
        """Run the schedule, add replicas' gradients up, clip, step."""
        self._forwards, self._micro_batches = 0, split.micro_batches
        self._order.clear()
        self.optimizer.zero_grad(set_to_none=True)
        losses: list[Tensor] = []
        # The schedule cuts one tensor of targets: the loss gets the micro-batch's number.
        numbers = torch.arange(self._count) if self._is_last else None
        with self._busy.step():
            self.schedule.step(target=numbers, losses=losses, **split.batch.inputs)
        self._meet_replicas()
        self._clip()
        self.optimizer.step()
        zero = torch.zeros((), device=self._rank.device)
        return torch.stack(losses).sum().detach() if losses else zero

    @property
    def _is_last(self) -> bool:
        """Whether the loss is computed here."""
        return any(stage.is_last for stage in self.stages)

    def _weighted_loss(self, outputs: Tensor, number: Tensor) -> Tensor:
        batch, weight = self._micro_batches[int(number)]
        with autocast(self._task.precision, self._rank.device):
            loss = self._recipe.loss(outputs, batch.targets)
        return weigh(loss, weight)

    @property
    def updates(self) -> int:
        """How often the optimizer has stepped."""
        return self._updates.count

    def _gradients(self) -> list[Tensor]:
        return [one.grad for one in self.own.values() if one.grad is not None]

    def _meet_replicas(self) -> None:
        if self.replicas > 1:
            under_way = [
                dist.all_reduce(gradient, group=self._replica_group, async_op=True)
                for gradient in self._gradients()
            ]
            for work in under_way:
                work.wait()

    def _clip(self) -> None:
        """Scale down to the norm of all stages: a stage by itself knows only its part."""
        if self._recipe.clip_norm is not None:
            squared = get_total_norm(self._gradients()) ** 2
            dist.all_reduce(squared, group=self._stage_group)
            clip_grads_with_norm_(self.own.values(), self._recipe.clip_norm, squared.sqrt())

    def _bubble_in_theory(self) -> float:
        if isinstance(self.schedule, pipelining.ScheduleInterleavedZeroBubble):
            return bubble_of_order(self.schedule.pipeline_order)
        ranks = self.stages[0].num_stages // len(self.stages)
        return bubble_of_1f1b(ranks, self._count, len(self.stages))

    def _count_forward(self, *_: object) -> None:
        self._forwards += 1

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Check that ranks hold one model per replica, and that each ran every micro-batch."""
        facts = {
            **world_facts(self.own.values(), self.optimizer.state),
            "schedule": type(self.schedule).__name__,
            "stages": [stage.stage_index for stage in self.stages],
            "stages_of_model": self.stages[0].num_stages,
            "replicas": self.replicas,
            "replicas_differ_by": spread_over_ranks(self.own.values(), self._replica_group),
            "micro_batches": self._task.micro_batches,
            "forwards_of_step": self._forwards,
            "in_flight": self._order.in_flight,
            "weight_passes": self._order.count("W"),
            "bubble": self._busy.bubble(),
            "bubble_in_theory": self._bubble_in_theory(),
        }
        everywhere = total_over_ranks(facts["parameter_bytes"])
        expected = self._task.micro_batches * len(self.stages)
        if everywhere != self.replicas * self._model_bytes or self._forwards != expected:
            raise Incorrect(
                f"the pipeline did not take effect: {facts}, {everywhere} bytes of parameters on "
                f"all ranks, {self._model_bytes} of the model"
            )
        if facts["world_size"] != self._rank.world_size or not traffic.bytes["send"]:
            raise Incorrect(f"the pipeline handed nothing on: {dict(traffic.bytes)}, {facts}")
        self._check_order(facts)
        if facts["replicas_differ_by"] != 0:
            raise Incorrect(f"replicas of the pipeline do not meet: {facts}")
        return facts

    def _check_order(self, facts: Mapping[str, Any]) -> None:
        """Check that chunks ran in the order that the variant's name stands for."""
        task, place = self._task, self._rank.index % self._task.stages
        under_way = in_flight_in_theory(task.variant, task.stages, place, task.micro_batches)
        split = task.micro_batches * len(self.stages) if task.variant == "zero_bubble" else 0
        if (facts["in_flight"], facts["weight_passes"]) != (under_way, split):
            raise Incorrect(
                f"{task.strategy} {task.variant} did not take effect: {under_way} micro-batches "
                f"should be under way and {split} backward passes be split: {facts}"
            )

    def snapshot(self) -> Snapshot:
        """Copy what this rank holds: its own stages."""
        return snapshot_of(self.own, self._own_buffers, self.optimizer.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Take this rank's stages out of the whole."""
        restore_into(self.own, self._own_buffers, self.optimizer, snapshot)

    @property
    def _own_buffers(self) -> dict[str, Tensor]:
        return own_buffers(self._task.module, [stage.submod for stage in self.stages])


def _own_parameters(module: nn.Module, stages: Sequence[nn.Module]) -> dict[str, nn.Parameter]:
    """Name the parameters of stages as the whole model does."""
    here = {id(parameter) for stage in stages for parameter in stage.parameters()}
    return {name: one for name, one in module.named_parameters() if id(one) in here}
