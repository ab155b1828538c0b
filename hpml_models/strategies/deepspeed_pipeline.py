"""DeepSpeed's pipeline engine: stages on ranks under its 1F1B schedule, times data parallelism.

DeepSpeed, ``deepspeed.pipe.PipelineModule``; the stages are those of ``pipeline``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpml_models.pipelines.cuts import whole_or_halves, why_not_stages
from hpml_models.training.deepspeed_setup import why_not_deepspeed
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy

if TYPE_CHECKING:
    from hpml_models.pipelines.deepspeed_engine import DeepSpeedPipelineTrainer

WHY_NO_CLIPPING = (
    "DeepSpeed's pipeline clips each stage by its own norm, the recipe by the whole model's"
)


class DeepSpeedPipeline(Strategy):
    """``PipelineModule`` in ``deepspeed.initialize``."""

    name = "deepspeed_pipeline"
    keeps_tied_weights = False
    clips_whole_norm = False
    has_float64 = False
    shows_gradients = False
    micro_batches = 4

    def stage_counts(self, device_count: int) -> Sequence[int]:
        """One replica over all devices, or two over half of them each."""
        return whole_or_halves(device_count)

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:
        """Refuse what cannot be cut or clipped, too few micro-batches, a missing DeepSpeed."""
        if spec.recipe.clip_norm is not None:
            return WHY_NO_CLIPPING
        return why_not_deepspeed(case.device) or why_not_stages(spec, case)

    def prepare(self, task: Task) -> "DeepSpeedPipelineTrainer":
        """Keep this rank's stage."""
        from hpml_models.pipelines.deepspeed_engine import DeepSpeedPipelineTrainer

        return DeepSpeedPipelineTrainer(task)

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count one of as many equal stages as a replica has."""
        return single.total_bytes / case.stages


STRATEGY = DeepSpeedPipeline()
