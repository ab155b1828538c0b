"""How many stages a model may be cut into. Light to import: strategies ask before anything runs."""

from hpml_models.types import ModelSpec, ParallelCase


def whole_or_halves(device_count: int) -> tuple[int, ...]:
    """Return the stage counts of a pipeline: one replica on all devices, or one on each half."""
    smallest_with_two = 4
    has_halves = device_count >= smallest_with_two and device_count % 2 == 0
    return (device_count, device_count // 2) if has_halves else (device_count,)


def why_not_cut(spec: ModelSpec, case: ParallelCase, stages: int) -> str | None:
    """Return why a model cannot be cut into so many stages, None if it can."""
    if spec.pipeline_layer_count is None:
        return f"{spec.name} does not say where it may be cut (pipeline_layers)"
    layers = spec.pipeline_layer_count(**spec.options_of(case))
    if stages > layers:
        return f"{layers} layers cannot be cut into {stages} stages"
    return None


def why_not_stages(spec: ModelSpec, case: ParallelCase, stages_per_rank: int = 1) -> str | None:
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
