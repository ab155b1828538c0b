"""Pipeline parallelism: stages on devices, micro-batches under way, by torch's own schedules.

GPipe: Y. Huang et al., arXiv 1811.06965. 1F1B: D. Narayanan et al., "PipeDream", arXiv 1806.03377.
Interleaved: D. Narayanan et al., "Megatron-LM", arXiv 2104.04473. Zero bubble: P. Qi et al.,
arXiv 2401.10241. With more devices than stages, replicas of the pipeline share the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from packaging.version import Version

from hpml_models.pipelines.cuts import whole_or_halves, why_not_stages
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Task
from hpml_models.variants import Strategy

if TYPE_CHECKING:
    from hpml_models.pipelines.torch_engine import PipelineTrainer


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A class of torch.distributed.pipelining, and how many stages each rank holds under it."""

    name: str
    stages_per_rank: int = 1


SCHEDULES = {
    "gpipe": Schedule(name="ScheduleGPipe"),
    "1f1b": Schedule(name="Schedule1F1B"),
    "interleaved": Schedule(name="ScheduleInterleaved1F1B", stages_per_rank=2),
    "zero_bubble": Schedule(name="ScheduleInterleavedZeroBubble", stages_per_rank=2),
}
# Seen: 2.11 and 2.12 fail (RuntimeError in the backward pass), 2.14 and 2.15 do not.
UNUSED_FROM = Version("2.14")


class Pipeline(Strategy):
    """``torch.distributed.pipelining``, a variant for each schedule."""

    name = "pipeline"
    keeps_tied_weights = False
    variants = tuple(SCHEDULES)
    micro_batches = 4

    def stage_counts(self, device_count: int) -> Sequence[int]:
        """One replica over all devices, or two over half of them each."""
        return whole_or_halves(device_count)

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:
        """Refuse what cannot be cut, and micro-batches of different sizes: torch would hang."""
        per_rank = SCHEDULES[case.variant].stages_per_rank
        if per_rank > 1 and spec.leaves_inputs_unused and Version(version("torch")) < UNUSED_FROM:
            return (
                f"a stage of {spec.name} leaves an input unused: torch {version('torch')} expects "
                f"a gradient of it, torch {UNUSED_FROM} does not"
            )
        return why_not_stages(spec, case, per_rank)

    def prepare(self, task: Task) -> "PipelineTrainer":
        """Keep this rank's stages."""
        from hpml_models.pipelines.torch_engine import PipelineTrainer

        schedule = SCHEDULES[task.variant]
        return PipelineTrainer(task, schedule.name, schedule.stages_per_rank)

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:
        """Count one of as many equal stages as a replica has."""
        return single.total_bytes / case.stages


STRATEGY = Pipeline()
