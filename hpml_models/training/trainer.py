"""The training step itself, as strategies share it whose every rank runs the whole model."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from hpml_models.precision import autocast
from hpml_models.training.evidence import Updates
from hpml_models.training.micro_batches import split_for_rank, weigh
from hpml_models.types import Batch, MicroBatch, Snapshot, Split, Task
from hpml_models.variants import Trainer

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class EagerTrainer(Trainer):
    """Forward and backward for each micro-batch, clip, optimizer step.

    ``module`` is the task's, wrapped or not. ``replicas`` share a global batch, and whatever
    wraps the module averages their gradients.
    """

    replicas = 1

    def __init__(self, task: Task, module: "nn.Module") -> None:
        """Make the optimizer over the task's parameters."""
        self.task = task
        self.module = module
        self.optimizer = self.make_optimizer()
        self._updates = Updates(self.optimizer)

    def make_optimizer(self) -> Any:
        """Return what steps: the task's own optimizer."""
        return self.task.spec.recipe.make_optimizer(self.task.module.named_parameters())

    def split(self, batch: Batch) -> Split:
        """Cut this replica's micro-batches out."""
        return split_for_rank(self.task, batch, self.replicas)

    def samples(self, split: Split) -> int:
        """Count all: no other rank has the same."""
        return len(split.batch)

    def step(self, split: Split) -> "Tensor":
        """Do one optimisation step; gradients meet those of other replicas in the last one."""
        self.optimizer.zero_grad(set_to_none=True)
        total: Tensor | None = None
        for number, micro_batch in enumerate(split.micro_batches, start=1):
            with self.accumulating(is_last=number == len(split.micro_batches)):
                term = self.accumulate(micro_batch)
            total = term if total is None else total + term
        assert total is not None  # noqa: S101  there is at least one micro-batch
        if self.task.spec.recipe.clip_norm is not None:
            self.clip(self.task.spec.recipe.clip_norm)
        self.optimizer.step()
        return total

    def accumulate(self, micro_batch: MicroBatch) -> "Tensor":
        """Add a micro-batch's gradients up; the backward pass is outside autocast."""
        batch = micro_batch.batch
        with autocast(self.task.precision, self.task.rank.device):
            loss = self.task.spec.recipe.loss(self.module(**batch.inputs), batch.targets)
        weigh(loss, micro_batch.weight, self.replicas).backward()
        return weigh(loss.detach(), micro_batch.weight)

    def accumulating(self, *, is_last: bool) -> AbstractContextManager[object]:  # noqa: ARG002
        """Return what one micro-batch runs in; replicas may keep still until the last."""
        return nullcontext()

    def clip(self, largest_norm: float) -> None:
        """Scale the gradients down to a norm, taken over the whole model."""
        from torch.nn.utils import clip_grad_norm_

        clip_grad_norm_(self.task.module.parameters(), largest_norm)

    @property
    def updates(self) -> int:
        """How often the optimizer has stepped."""
        return self._updates.count

    def snapshot(self) -> Snapshot:
        """Copy the task's own tensors: each rank holds all of them."""
        module = self.task.module
        return snapshot_of(dict(module.named_parameters()), buffers_of(module), self.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Put this rank's part of each tensor in place."""
        module = self.task.module
        parameters, buffers = dict(module.named_parameters()), buffers_of(module)
        restore_into(parameters, buffers, self.own_optimizer, snapshot)

    @property
    def own_optimizer(self) -> "torch.optim.Optimizer":
        """What updates the parameters on this rank."""
        return cast("torch.optim.Optimizer", self.optimizer)

    @property
    def state(self) -> "Mapping[Any, Mapping[str, Any]]":
        """What this rank's optimizer keeps of each parameter."""
        return cast("Mapping[Any, Mapping[str, Any]]", self.own_optimizer.state)


def buffers_of(module: "nn.Module") -> "dict[str, Tensor]":
    """Name the buffers that belong to a module's state."""
    kept = module.state_dict().keys()
    return {name: buffer for name, buffer in module.named_buffers() if name in kept}


def snapshot_of(
    parameters: "Mapping[str, nn.Parameter]",
    buffers: "Mapping[str, Tensor]",
    state: "Mapping[Any, Mapping[str, Any]]",
) -> Snapshot:
    """Copy parameters, their gradients, buffers, and what an optimizer keeps."""
    kept = {
        f"{name}.{key}": tensor
        for name, value in parameters.items()
        for key, tensor in _tensors(state.get(value, {}))
    }
    return Snapshot(
        parameters={name: _whole(value) for name, value in parameters.items()},
        gradients={
            name: _whole(value.grad) for name, value in parameters.items() if value.grad is not None
        },
        # A count of steps has no dimensions.
        optimizer={name: _whole(one) for name, one in kept.items() if one.ndim > 0},
        counts={name: _whole(one) for name, one in kept.items() if one.ndim == 0},
        buffers={name: _whole(one) for name, one in buffers.items()},
    )


def _tensors(state: Mapping[str, Any]) -> "Iterator[tuple[str, Tensor]]":
    import torch

    return ((key, kept) for key, kept in state.items() if isinstance(kept, torch.Tensor))


def restore_into(
    parameters: "Mapping[str, nn.Parameter]",
    buffers: "Mapping[str, Tensor]",
    optimizer: "torch.optim.Optimizer",
    snapshot: Snapshot,
) -> None:
    """Put a whole snapshot's tensors in place, and the state of what the optimizer updates."""
    import torch

    updated = {one for group in optimizer.param_groups for one in group["params"]}
    tensors, counts = by_parameter(snapshot.optimizer), by_parameter(snapshot.counts)
    with torch.no_grad():
        for name, buffer in buffers.items():
            buffer.copy_(snapshot.buffers[name])
        for name, parameter in parameters.items():
            parameter.copy_(_like(parameter, snapshot.parameters[name]))
            if parameter in updated and name in {*tensors, *counts}:
                kept = {key: _like(parameter, one) for key, one in tensors.get(name, {}).items()}
                optimizer.state[parameter] = {**counts.get(name, {}), **kept}


def by_parameter(tensors: "Mapping[str, Tensor]") -> "dict[str, dict[str, Tensor]]":
    """Sort copies of tensors named ``PARAMETER.KEY`` by parameter and key."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, _, key = name.rpartition(".")
        found.setdefault(parameter, {})[key] = tensor.clone()
    return found


def _like(parameter: "nn.Parameter", whole: "Tensor") -> "Tensor":
    """Return a tensor where a parameter is, cut as it is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    moved = whole.to(parameter.device)
    if isinstance(parameter, DTensor) and whole.shape == parameter.shape:
        return distribute_tensor(moved, parameter.device_mesh, parameter.placements)
    return moved


def _whole(tensor: "Tensor") -> "Tensor":
    """Return a copy; of a tensor that ranks hold in shards, the whole."""
    from torch.distributed.tensor import DTensor

    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()
