"""DeepSpeed's pipeline engine: stages on ranks under its 1F1B schedule, times data parallelism.

DeepSpeed, ``deepspeed.pipe.PipelineModule``; the stages are those of ``pipeline``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from hpml_models.pipelines.cuts import whole_or_halves, why_not_stages
from hpml_models.training.deepspeed_setup import why_not_deepspeed
from hpml_models.types import Case, ModelBytes, ModelSpec, Rank, Strategy, Task, Trainer

if TYPE_CHECKING:
    from hpml_models.pipelines.deepspeed_engine import DeepSpeedPipelineTrainer


class DeepSpeedPipeline(Strategy):
    """``PipelineModule`` in ``deepspeed.initialize``."""

    name = "deepspeed_pipeline"
    micro_batches = 4

    def stage_counts(self, device_count: int) -> Sequence[int]:
        """One replica over all devices, or two over half of them each."""
        return whole_or_halves(device_count)

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Refuse what cannot be cut, micro-batches that are too few, and a missing DeepSpeed."""
        return why_not_deepspeed(case.device) or why_not_stages(spec, case)

    def prepare(self, task: Task) -> Trainer:
        """Keep this rank's stage."""
        from hpml_models.pipelines.deepspeed_engine import DeepSpeedPipelineTrainer

        return DeepSpeedPipelineTrainer(task)

    def proof(self, trainer: Trainer, rank: Rank, traffic: Mapping[str, int]) -> dict[str, Any]:
        """Ask the engine."""
        return cast("DeepSpeedPipelineTrainer", trainer).proof(rank, traffic)

    def model_bytes_in_theory(self, case: Case, single: ModelBytes) -> float | None:
        """Count one of as many equal stages as a replica has."""
        return single.total_bytes / case.stages


STRATEGY = DeepSpeedPipeline()
