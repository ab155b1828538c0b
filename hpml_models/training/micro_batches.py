"""Cutting a global batch into what each rank works on, micro-batch by micro-batch."""

from typing import TYPE_CHECKING

from hpml_models.types import Batch, MicroBatch, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def split_batch(
    batch: Batch,
    loss_count: "Callable[[Tensor], int]",
    *,
    replica: int = 0,
    replicas: int = 1,
    count: int = 1,
) -> list[MicroBatch]:
    """Cut a replica's micro-batches out of a global batch: sizes at most one apart at each cut.

    Raises ValueError if there are fewer samples than micro-batches in all.
    """
    if reason := why_not_split(len(batch), replicas, count):
        raise ValueError(reason)
    own = [tensor.tensor_split(replicas)[replica] for tensor in batch]
    whole = loss_count(batch.targets)
    cut = zip(*(tensor.tensor_split(count) for tensor in own), strict=True)
    return [MicroBatch(Batch(*one), weight=loss_count(one[1]) / whole) for one in cut]


def split_for_rank(task: Task, batch: Batch, replicas: int) -> list[MicroBatch]:
    """Cut the task's micro-batches out, where neighbouring ranks hold neighbouring replicas."""
    return split_batch(
        batch,
        task.spec.loss_count,
        replica=task.rank.index % replicas,
        replicas=replicas,
        count=task.micro_batches,
    )


def why_not_split(batch: int, replicas: int, count: int) -> str | None:
    """Return why a batch cannot be cut so, None if it can."""
    if batch < replicas * count:
        return f"batch {batch} is smaller than {replicas} replicas x {count} micro-batches"
    return None
