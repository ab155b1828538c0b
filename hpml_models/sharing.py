"""Cutting a global batch into what each rank works on, part by part."""

from typing import TYPE_CHECKING

from hpml_models.types import Batch, Case, ModelSpec, Part, Task

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


def whole_or_halves(device_count: int) -> tuple[int, ...]:
    """Return the stage counts of a pipeline: one replica on all devices, or one on each half."""
    smallest_with_two = 4
    has_halves = device_count >= smallest_with_two and device_count % 2 == 0
    return (device_count, device_count // 2) if has_halves else (device_count,)


def why_not_cut(spec: ModelSpec, case: Case, stages: int) -> str | None:
    """Return why a model cannot be cut into so many stages, None if it can."""
    if spec.links is None:
        return f"{spec.name} does not say where it may be cut (chain)"
    links = spec.links(**spec.presets[case.preset].options)
    if stages > links:
        return f"a chain of {links} links cannot be cut into {stages} stages"
    return None


def why_not_stages(spec: ModelSpec, case: Case, stages_per_rank: int = 1) -> str | None:
    """Return why a pipeline cannot run a case, None if it can."""
    if reason := why_not_cut(spec, case, case.stages * stages_per_rank):
        return reason
    replicas = case.device_count // case.stages
    if case.batch % (replicas * case.micro_batches):
        return (
            f"batch {case.batch} is no multiple of {replicas} replicas x "
            f"{case.micro_batches} micro-batches"
        )
    if case.micro_batches % case.stages:
        return f"{case.micro_batches} micro-batches are no multiple of {case.stages} stages"
    return None
