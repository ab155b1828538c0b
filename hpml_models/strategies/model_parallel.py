"""Model parallelism: layers cut over devices, which work one after the other.

The whole batch goes through as one micro-batch, so that only one device computes at a time: what
pipelines are measured against.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpml_models.pipelines.cuts import why_not_cut
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy

if TYPE_CHECKING:
    from hpml_models.pipelines.torch_engine import PipelineTrainer


class ModelParallel(Strategy):
    """A pipeline with a single micro-batch."""

    name = "model_parallel"
    keeps_tied_weights = False

    def stage_counts(self, device_count: int) -> Sequence[int]:
        """One stage on each device."""
        return (device_count,)

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:
        """Refuse a model that cannot be cut, and micro-batches: those are a pipeline's."""
        if case.micro_batches != 1:
            return "with several micro-batches it is a pipeline: --strategy pipeline"
        return why_not_cut(spec, case, case.stages)

    def prepare(self, task: Task) -> "PipelineTrainer":
        """Keep one stage on each rank."""
        from hpml_models.pipelines.torch_engine import PipelineTrainer

        return PipelineTrainer(task, "ScheduleGPipe")

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count one of as many equal stages as a replica has."""
        return single.total_bytes / case.stages


STRATEGY = ModelParallel()
