"""Cutting a global batch into what each rank works on, part by part."""

from typing import TYPE_CHECKING

from hpml_models.types import Batch, Part, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def micro_batches(
    batch: Batch,
    terms: "Callable[[Tensor], int]",
    *,
    replica: int = 0,
    replicas: int = 1,
    count: int = 1,
) -> list[Part]:
    """Cut a replica's micro-batches out of a global batch: sizes at most one apart at each cut.

    Raises ValueError if there are fewer samples than micro-batches in all.
    """
    if reason := why_not_shared(len(batch), replicas, count):
        raise ValueError(reason)
    own = [tensor.tensor_split(replicas)[replica] for tensor in batch]
    whole = terms(batch.targets)
    cut = zip(*(tensor.tensor_split(count) for tensor in own), strict=True)
    return [Part(Batch(*part), weight=terms(part[1]) / whole) for part in cut]


def share_of(task: Task, batch: Batch, replicas: int) -> list[Part]:
    """Cut the task's micro-batches out, where neighbouring ranks hold neighbouring replicas."""
    return micro_batches(
        batch,
        task.spec.terms,
        replica=task.rank.index % replicas,
        replicas=replicas,
        count=task.micro_batches,
    )


def why_not_shared(batch: int, replicas: int, count: int) -> str | None:
    """Return why a batch cannot be cut so, None if it can."""
    if batch < replicas * count:
        return f"batch {batch} is smaller than {replicas} replicas x {count} micro-batches"
    return None
