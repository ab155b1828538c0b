"""Training in stages by DeepSpeed's pipeline engine. Imports torch; DeepSpeed when it starts."""

from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

from hpml_models.instruments.traffic import Traffic
from hpml_models.pipelines.bubble import BusyTime, bubble_of_1f1b
from hpml_models.pipelines.order import Chunk, ChunkOrder, in_flight_in_theory
from hpml_models.pipelines.stages import cut, own_buffers
from hpml_models.precision import autocast
from hpml_models.training.deepspeed_setup import initialize, set_up
from hpml_models.training.evidence import spread_over_ranks, total_over_ranks, world_facts
from hpml_models.training.micro_batches import split_for_rank, weigh
from hpml_models.training.trainer import restore_into, snapshot_of
from hpml_models.types import Batch, MicroBatch, Snapshot, Split, Task, Tensors
from hpml_models.variants import Trainer
from hpml_steps.incorrect import Incorrect

NOTHING = torch.zeros(1)  # what the engine loads: micro-batches do not go through its hands


class _Sending(nn.Module):
    """A stage as the engine runs it.

    The engine passes activations alone: each micro-batch's inputs are read on every stage, and
    what the first stage gets from the engine is no input. Outputs all take gradients, since the
    engine exchanges one for each.
    """

    def __init__(
        self, stage: nn.Module, next_inputs: Callable[[], Tensors], *, first: bool
    ) -> None:
        super().__init__()
        self.stage = stage
        self._next_inputs, self._is_first = next_inputs, first

    def forward(self, values: Any) -> Any:
        activations = values if isinstance(values, tuple) else (values,)
        outputs = self.stage(*(() if self._is_first else activations), **self._next_inputs())
        if isinstance(outputs, Tensor):
            return outputs
        return tuple(one if one.requires_grad else one.requires_grad_() for one in outputs)


def _filled(send_gradients: Callable[..., Any]) -> Callable[..., Any]:
    """Return the engine's instruction, with zeros for an activation that a stage has not used.

    The engine asserts that each has a gradient: the last stage of a translation has no need of
    the source.
    """

    def send(engine: Any, buffer_id: int) -> Any:
        inputs = engine.pipe_buffers["inputs"][buffer_id]
        for tensor in inputs if isinstance(inputs, tuple) else (inputs,):
            if tensor.grad is None and tensor.is_floating_point():
                tensor.grad = torch.zeros_like(tensor)
        return send_gradients(engine, buffer_id)

    return send


class DeepSpeedPipelineTrainer(Trainer):
    """One rank's stage inside DeepSpeed's engine: rank = stage * replicas + replica."""

    def __init__(self, task: Task) -> None:
        """Hand the same stages to the engine as ``pipeline`` has: the comparison is of engines."""
        self._task = task
        self._replicas = task.rank.world_size // task.stages
        self._names = {id(value): name for name, value in task.module.named_parameters()}
        self._model_bytes = sum(value.nbytes for value in task.module.parameters())
        self._upcoming: Iterator[MicroBatch] = iter(())  # as forward passes take them
        self._to_lose: Iterator[MicroBatch] = iter(())  # as losses do
        self._order = ChunkOrder()
        self.engine = self._initialize(task)
        own = [(self._names[id(value)], value) for value in self.engine.module.parameters()]
        self.own = dict(own)
        self._busy, self._forwards = BusyTime(task.rank.device), 0
        self.engine.module.register_forward_hook(self._count)
        self._time_chunks()

    def _time_chunks(self) -> None:
        """Time what the engine's instructions for computing do; the others exchange, and wait."""
        from deepspeed.runtime.pipe import schedule

        instructions = self.engine._INSTRUCTION_MAP  # noqa: SLF001  it has no other hooks
        outside = (schedule.ReduceGrads, schedule.ReduceTiedGrads, schedule.OptimizerStep)
        chunks: dict[Any, Chunk] = {schedule.ForwardPass: "F", schedule.BackwardPass: "B"}
        changed = {
            **{kind: self._busy.leaving_out(instructions[kind]) for kind in outside},
            **{
                kind: self._busy.timing(self._order.noting(chunk, instructions[kind]))
                for kind, chunk in chunks.items()
            },
            schedule.SendGrad: _filled(instructions[schedule.SendGrad]),
        }
        self.engine._INSTRUCTION_MAP = {**instructions, **changed}  # noqa: SLF001  as above

    def _count(self, *_: object) -> None:
        self._forwards += 1

    def _initialize(self, task: Task) -> Any:
        set_up(task.rank)
        from deepspeed.pipe import PipelineModule
        from deepspeed.runtime.pipe.topology import PipeDataParallelTopology

        layers = [
            _Sending(stage, self._next_inputs, first=index == 0)
            for index, stage in enumerate(cut(task, task.stages))
        ]
        with redirect_stdout(StringIO()):  # where it prints which layers went where
            stages = PipelineModule(
                layers=layers,
                topology=PipeDataParallelTopology(num_pp=task.stages, num_dp=self._replicas),
                loss_fn=self._weighted_loss,
                partition_method="uniform",
                activation_checkpoint_interval=0,
            )
        own = [(self._names[id(value)], value) for value in stages.parameters()]
        return initialize(task, stages, own)

    def _next_inputs(self) -> Tensors:
        return next(self._upcoming).batch.inputs

    def _weighted_loss(self, outputs: Tensor, _: Tensor) -> Tensor:
        """Weigh a micro-batch's loss so that the engine's averages give the batch's mean."""
        task, (batch, weight) = self._task, next(self._to_lose)
        with autocast(task.precision, task.rank.device):
            loss = task.spec.recipe.loss(outputs, batch.targets)
        return weigh(loss, weight, task.micro_batches * self._replicas)

    def split(self, batch: Batch) -> Split:
        """Cut the replica's micro-batches out: the engine is given one at a time."""
        return split_for_rank(self._task, batch, self._replicas)

    def samples(self, split: Split) -> int:
        """Count them where they come in."""
        return len(split.batch) if self.engine.is_first_stage() else 0

    def step(self, split: Split) -> Tensor:
        """Run the engine's schedule; every rank gets the whole loss, and returns its part."""
        self._upcoming, self._to_lose = iter(split.micro_batches), iter(split.micro_batches)
        self._forwards = 0
        self._order.clear()
        with self._busy.step():
            loss = self.engine.train_batch(data_iter=repeat((NOTHING, NOTHING)))
        return torch.as_tensor(loss).detach() / self._task.rank.world_size

    @property
    def updates(self) -> int:
        """How often the engine's optimizer has stepped."""
        return int(self.engine.global_steps)

    def snapshot(self) -> Snapshot:
        """Copy this rank's stage; gradients are gone once the engine has stepped."""
        state = self.engine.optimizer.state
        return snapshot_of(self.own, self._own_buffers, state)._replace(gradients={})

    def restore(self, snapshot: Snapshot) -> None:
        """Take this rank's stage out of the whole."""
        restore_into(self.own, self._own_buffers, self.engine.optimizer, snapshot)

    @property
    def optimizer(self) -> Any:
        """The engine's own."""
        return self.engine.optimizer

    @property
    def _own_buffers(self) -> dict[str, Tensor]:
        return own_buffers(self._task.module, [self.engine.module])

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Ask the engine for its stages; ranks must hold one model for each replica."""
        facts = {
            **world_facts(self.own.values(), self.engine.optimizer.state),
            "engine": type(self.engine).__name__,
            "stages_of_model": self.engine.num_stages,
            "stages": [self.engine.stage_id],
            "replicas": self.engine.dp_world_size,
            "micro_batches": self.engine.micro_batches,
            "forwards_of_step": self._forwards,
            "in_flight": self._order.in_flight,
            "replicas_differ_by": spread_over_ranks(
                self.own.values(), self.engine.grid.get_data_parallel_group()
            ),
            "bubble": self._busy.bubble(),
            "bubble_in_theory": bubble_of_1f1b(self.engine.num_stages, self.engine.micro_batches),
        }
        everywhere = total_over_ranks(facts["parameter_bytes"])
        expected = (self._task.stages, self._replicas, self._task.micro_batches)
        actual = (facts["stages_of_model"], facts["replicas"], facts["forwards_of_step"])
        if expected != actual or everywhere != self._replicas * self._model_bytes:
            raise Incorrect(f"deepspeed_pipeline did not take effect: {facts}, {everywhere} bytes")
        if facts["world_size"] != self._task.rank.world_size or not traffic.bytes["send"]:
            raise Incorrect(f"deepspeed_pipeline handed nothing on: {dict(traffic.bytes)}, {facts}")
        place, stages = facts["stages"][0], self._task.stages
        under_way = in_flight_in_theory("1f1b", stages, place, self._task.micro_batches)
        if facts["in_flight"] != under_way:
            raise Incorrect(f"deepspeed_pipeline runs no 1F1B: {under_way} under way, not {facts}")
        if facts["replicas_differ_by"] != 0:
            raise Incorrect(f"replicas of deepspeed_pipeline do not meet: {facts}")
        return facts
