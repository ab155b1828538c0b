"""What one device would give: nothing here is shared with the trainers that are held to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hpml_models.precision import autocast
from hpml_models.types import Batch, ModelBytes, Task

if TYPE_CHECKING:
    from torch import Tensor, nn


def loss_of_one_device(task: Task, batch: Batch, replicas: int) -> dict[str, float]:
    """Return the mean loss over a global batch before any step, and how far it varies by itself.

    The model sees the batch in the parts that the ranks will see, for batch normalisation takes
    its statistics over each. Where layers drop at random, two passes differ.
    """
    import torch

    losses = []
    for seed in (1, 2):
        with torch.random.fork_rng(), torch.no_grad(), _buffers_kept(task.module):
            torch.manual_seed(seed)
            losses.append(_mean_loss(task, batch, replicas))
    return {"loss_of_one_device": losses[0], "loss_varies_by": abs(losses[0] - losses[1])}


def _mean_loss(task: Task, batch: Batch, replicas: int) -> float:
    recipe = task.spec.recipe
    total, whole = 0.0, float(recipe.loss_count(batch.targets))
    for part in (one for own in batch.split(replicas) for one in own.split(task.micro_batches)):
        with autocast(task.precision, task.rank.device):
            loss = recipe.loss(task.module(**part.inputs), part.targets)
        total += float(loss) * float(recipe.loss_count(part.targets)) / max(1.0, whole)
    return total


@contextmanager
def _buffers_kept(module: "nn.Module") -> Iterator[None]:
    """Undo what forward passes do to running statistics."""
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
    yield
    for name, buffer in module.named_buffers():
        buffer.copy_(kept[name])


def model_bytes_of_one_device(task: Task) -> ModelBytes:
    """Count the parameters, and what the recipe's optimizer keeps of them after a step.

    The optimizer steps on tensors without contents.
    """
    import torch
    from torch import nn

    empty: list[tuple[str, nn.Parameter]] = []
    for name, value in task.module.named_parameters():
        like = torch.empty_like(value, device="meta")
        empty.append((name, nn.Parameter(like, requires_grad=value.requires_grad)))
        empty[-1][1].grad = like if value.requires_grad else None
    optimizer = task.spec.recipe.make_optimizer(empty)
    optimizer.step()
    return ModelBytes(
        parameter_bytes=sum(value.nbytes for _, value in empty),
        optimizer_bytes=sum(_state_bytes(state) for state in optimizer.state.values()),
    )


def _state_bytes(state: dict[str, Any]) -> int:
    """Count what is kept of one parameter; counters of steps have no dimensions."""
    tensors: list[Tensor] = [value for value in state.values() if getattr(value, "ndim", 0)]
    return sum(tensor.nbytes for tensor in tensors)
