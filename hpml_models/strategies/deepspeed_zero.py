"""DeepSpeed's ZeRO: optimizer state (1), gradients (2), parameters (3) cut over replicas' ranks.

S. Rajbhandari et al., arXiv 1910.02054. The engine keeps its own float32 copy of what it updates.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpml_models.instruments.traffic import Traffic
from hpml_models.precision import autocast
from hpml_models.training.deepspeed_setup import initialize, why_not_deepspeed
from hpml_models.training.evidence import model_bytes, total_over_ranks, trained_bytes
from hpml_models.training.micro_batches import split_for_rank, weigh, why_not_split
from hpml_models.training.trainer import buffers_of, by_parameter
from hpml_models.types import (
    Batch,
    MicroBatch,
    ModelBytes,
    ModelSpec,
    ParallelCase,
    Snapshot,
    Split,
    Task,
)
from hpml_models.variants import Strategy, Trainer
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import Tensor, nn

STAGES = {"zero1": 1, "zero2": 2, "zero3": 3}
PADDED = 1.5  # shards are padded to equal lengths; whole copies would be at least twice as much


class DeepSpeedZeroTrainer(Trainer):
    """A replica inside DeepSpeed's engine."""

    def __init__(self, task: Task) -> None:
        """Hand the module to the engine."""
        self._task = task
        self._names = {id(value): name for name, value in task.module.named_parameters()}
        self.model_bytes = sum(value.nbytes for value in task.module.parameters())
        self.trained_bytes = trained_bytes(task.module.parameters())
        self.stage = STAGES[task.variant]
        self.engine = initialize(
            task,
            task.module,
            task.module.named_parameters(),
            zero_optimization={
                "stage": self.stage,
                # The default keeps parameters below 100,000 elements whole, which is all of a
                # small model.
                "stage3_param_persistence_threshold": 0,
            },
        )

    def split(self, batch: Batch) -> Split:
        """Cut this rank's micro-batches out."""
        return split_for_rank(self._task, batch, self._task.rank.world_size)

    def samples(self, split: Split) -> int:
        """Count all: no other rank has the same."""
        return len(split.batch)

    def step(self, split: Split) -> "Tensor":
        """Do one step: the engine averages over ranks and micro-batches, weights make it a sum."""
        scale = self._task.rank.world_size * len(split.micro_batches)
        return sum(self._accumulate(one, scale) for one in split.micro_batches)  # type: ignore[return-value]  # tensors add up to one

    def _accumulate(self, micro_batch: MicroBatch, scale: int) -> "Tensor":
        batch, weight = micro_batch
        with autocast(self._task.precision, self._task.rank.device):
            loss = self._task.spec.recipe.loss(self.engine(**batch.inputs), batch.targets)
        self.engine.backward(weigh(loss, weight, scale))
        self.engine.step()  # acts once all micro-batches have been through
        return weigh(loss.detach(), weight)

    @property
    def updates(self) -> int:
        """How often the engine's optimizer has stepped."""
        return int(self.engine.global_steps)

    def snapshot(self) -> Snapshot:
        """Gather the engine's own float32 copies; gradients are gone once it has stepped."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        self._link_states()
        values = {self._names[id(value)]: value for value in self._task.module.parameters()}
        trained = {name: value for name, value in values.items() if value.requires_grad}
        frozen = {name: _whole(value) for name, value in values.items() if name not in trained}
        return Snapshot(
            parameters=frozen
            | {name: safe_get_full_fp32_param(value) for name, value in trained.items()},
            gradients={},
            optimizer={
                f"{name}.{key}": safe_get_full_optimizer_state(value, key)
                for name, value in trained.items()
                for key in self._kept()
            },
            counts={f"{name}.{key}": one for name in trained for key, one in self._counts()},
            buffers={name: one.clone() for name, one in buffers_of(self._task.module).items()},
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Set the engine's copies and its state, and the parameters that it computes with."""
        tensors, counts = by_parameter(snapshot.optimizer), by_parameter(snapshot.counts)
        self._make_state(next(iter(tensors.values()), {}), next(iter(counts.values()), {}))
        for name, buffer in buffers_of(self._task.module).items():
            buffer.copy_(snapshot.buffers[name])
        for value in self._task.module.parameters():
            name = self._names[id(value)]
            self._set_whole(value, snapshot.parameters[name])
            if value.requires_grad:
                self._set_part(value, None, snapshot.parameters[name])
                for key, one in tensors.get(name, {}).items():
                    self._set_part(value, key, one)

    def _make_state(self, tensors: "Mapping[str, Tensor]", counts: "Mapping[str, Tensor]") -> None:
        """Let the optimizer hold something of each partition: it begins with the first step."""
        import torch

        engine, inner = self.engine.optimizer, self.optimizer
        partitions = (
            engine.fp32_partitioned_groups_flat
            if self._task.variant == "zero3"
            else engine.single_partition_of_fp32_groups
        )
        for one in partitions if tensors or counts else ():
            kept = {key: torch.zeros_like(one) for key in tensors}
            inner.state[one] = kept | {key: count.clone() for key, count in counts.items()}
        self._link_states()

    def _set_whole(self, value: "nn.Parameter", whole: "Tensor") -> None:
        """Set what the forward pass computes with, wherever its parts are."""
        import deepspeed

        if not hasattr(value, "ds_id"):
            value.data.copy_(whole)
            return
        with deepspeed.zero.GatheredParameters([value], modifier_rank=0):
            if self._task.rank.index == 0:
                value.data.copy_(whole)

    def _set_part(self, value: "nn.Parameter", key: str | None, whole: "Tensor") -> None:
        """Set this rank's part of the engine's own copy, or of a tensor of the state.

        DeepSpeed's own function for this fails in stage 3 where ranks do not divide a parameter.
        """
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state
        from torch.nn.functional import pad

        whole = whole.to(value.device)
        if not hasattr(value, "ds_id"):
            if key is None:
                safe_set_full_fp32_param(value, whole)
            else:
                safe_set_full_optimizer_state(value, whole, key)
            return
        engine, size = self.engine.optimizer, self._task.rank.world_size
        part, _ = engine._get_fp32_opt_state_partition(  # noqa: SLF001  it is not to be had else
            value, release_swap_buffers=False, optim_state_key=key
        )
        flat = pad(whole.flatten(), (0, part.numel() * size - whole.numel()))
        part.data.copy_(flat.narrow(0, part.numel() * self._task.rank.index, part.numel()))

    @property
    def optimizer(self) -> Any:
        """The task's own, inside the engine's."""
        return self.engine.optimizer.optimizer

    def _link_states(self) -> None:
        """Let parameters find their optimizer's state anew.

        Stages 1 and 2 link them when the first group of parameters has stepped: the others' state
        does not exist yet.
        """
        optimizer = self.engine.optimizer
        if self._task.variant != "zero3":
            optimizer._hp_optimizer_states_linked = False  # noqa: SLF001  it is not to be had else
            optimizer._lazy_init_hp_params_optimizer_state()  # noqa: SLF001  as above

    def _kept(self) -> list[str]:
        return [key for key, value in self._first_state() if value.ndim > 0]

    def _counts(self) -> "list[tuple[str, Tensor]]":
        return [(key, value.clone()) for key, value in self._first_state() if value.ndim == 0]

    def _first_state(self) -> "list[tuple[str, Tensor]]":
        """Return what the optimizer keeps of one partition; of the others it keeps the same."""
        state: Mapping[str, Any] = next(iter(self.optimizer.state.values()), {})
        return [(key, value) for key, value in state.items() if hasattr(value, "ndim")]

    def bytes_on_rank(self) -> dict[str, int]:
        """Count what this rank keeps: of parameters, and of the optimizer with its float32 copy."""
        state = self.engine.optimizer.optimizer.state
        shards = [  # stage 3 leaves a parameter's shard there
            getattr(value, "ds_tensor", value) for value in self._task.module.parameters()
        ]
        counted = model_bytes(shards, state)
        copies = sum(key.nbytes for key in state)
        return {
            **counted,
            "optimizer_bytes": counted["optimizer_bytes"] + copies,
            "copy_bytes": copies,
        }

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Read the stage back from the engine; check that its state is held in shards."""
        facts = {
            "world_size": self.engine.world_size,
            "zero_stage": self.engine.zero_optimization_stage(),
            **self.bytes_on_rank(),
        }
        ran = f"zero{facts['zero_stage']}"  # the variant's name, not its place in a table
        if (facts["world_size"], ran) != (self._task.rank.world_size, self._task.variant):
            raise Incorrect(f"deepspeed_zero {self._task.variant} did not take effect: {facts}")
        self._check_shards(facts)
        if not traffic.bytes.total():
            raise Incorrect("deepspeed_zero did not take effect: its ranks exchanged nothing")
        return facts

    def _check_shards(self, facts: Mapping[str, Any]) -> None:
        """Check that ranks keep one copy together, and in stage 3 one set of parameters."""
        expected = {"copy_bytes": self.trained_bytes}
        if self._task.variant == "zero3":
            expected["parameter_bytes"] = self.model_bytes
        for kind, whole in expected.items():
            everywhere = total_over_ranks(facts[kind])
            if not whole <= everywhere <= PADDED * whole:
                raise Incorrect(
                    f"deepspeed_zero did not take effect: {everywhere} {kind} on all ranks, "
                    f"the model has {whole}"
                )


def _whole(frozen: "nn.Parameter") -> "Tensor":
    """Copy a parameter that the engine does not update: in stage 3 it is in shards, too."""
    import deepspeed

    with deepspeed.zero.GatheredParameters([frozen], enabled=hasattr(frozen, "ds_id")):
        return frozen.detach().clone()


class DeepSpeedZero(Strategy):
    """``deepspeed.initialize`` with ``zero_optimization``, a variant for each stage."""

    name = "deepspeed_zero"
    variants = tuple(STAGES)
    has_float64 = False
    padding = 0.10
    shows_gradients = False

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:  # noqa: ARG002  fits every model
        """Refuse only where DeepSpeed is missing or a rank would be without work."""
        return why_not_deepspeed(case.device) or why_not_split(
            case.batch, case.device_count, case.micro_batches
        )

    def prepare(self, task: Task) -> DeepSpeedZeroTrainer:
        """Put the module into the engine on every rank."""
        return DeepSpeedZeroTrainer(task)

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count a shard of the state and its copy of the parameters, in stage 3 of these, too."""
        state = single.total_bytes / case.device_count
        micro_batches = case.device_count if case.variant == "zero3" else 1
        return state + single.parameter_bytes / micro_batches

    def traffic_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count gradients and shards: once, or for each micro-batch; of autocast say nothing.

        There the engine sends gradients of linear and convolutional layers in autocast's type and
        all others in float32, so the count would be the model's and not ZeRO's.
        """
        if case.precision == "bf16":
            return None
        whole, shard = single.parameter_bytes, single.parameter_bytes / case.device_count
        each = {"zero1": 0, "zero2": whole, "zero3": whole + 2 * shard}[case.variant]
        once = {"zero1": whole + shard, "zero2": shard, "zero3": 0}[case.variant]
        return each * case.micro_batches + once

    def least_traffic(self, case: ParallelCase) -> float:
        """Allow for one gather less in stage 3: what the forward pass left in place serves."""
        return 3 / 4 if case.variant == "zero3" else 1.0


STRATEGY = DeepSpeedZero()
