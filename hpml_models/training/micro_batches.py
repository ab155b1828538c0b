"""Cutting a global batch into what each rank works on, micro-batch by micro-batch."""

from typing import TYPE_CHECKING

from hpml_models.types import Batch, MicroBatch, Recipe, Split, Task

if TYPE_CHECKING:
    from torch import Tensor


def split_batch(
    batch: Batch, recipe: Recipe, *, replica: int = 0, replicas: int = 1, count: int = 1
) -> Split:
    """Cut a replica's micro-batches out of a global batch: sizes at most one apart at each cut.

    Losses are counted here, so that no step has to. Raises ValueError if there are fewer samples
    than micro-batches in all.
    """
    if reason := why_not_split(len(batch), replicas, count):
        raise ValueError(reason)
    own = batch.split(replicas)[replica]
    whole = recipe.loss_count(batch.targets)
    return Split(
        batch=own,
        micro_batches=[
            MicroBatch(one, weight=_ratio(recipe.loss_count(one.targets), whole))
            for one in own.split(count)
        ],
    )


def _ratio(part: "int | Tensor", whole: "int | Tensor") -> "float | Tensor":
    """Divide two counts, 0 by 0 as well, without asking a device for them."""
    if isinstance(part, int) and isinstance(whole, int):
        return part / max(1, whole)
    import torch

    counts = [torch.as_tensor(count, dtype=torch.float64) for count in (part, whole)]
    return counts[0] / counts[1].clamp(min=1)


def weigh(loss: "Tensor", weight: "float | Tensor", times: int = 1) -> "Tensor":
    """Return a micro-batch's term of the whole batch's mean loss, a number of times."""
    factor = weight * times
    return loss * (factor if isinstance(factor, float) else factor.to(loss.dtype))


def split_for_rank(task: Task, batch: Batch, replicas: int) -> Split:
    """Cut the task's micro-batches out, where neighbouring ranks hold neighbouring replicas."""
    return split_batch(
        batch,
        task.spec.recipe,
        replica=task.rank.index % replicas,
        replicas=replicas,
        count=task.micro_batches,
    )


def why_not_split(batch: int, replicas: int, count: int) -> str | None:
    """Return why a batch cannot be cut so, None if it can."""
    if batch < replicas * count:
        return f"batch {batch} is smaller than {replicas} replicas x {count} micro-batches"
    return None
