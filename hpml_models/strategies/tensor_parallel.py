"""Tensor parallelism: single matrices cut over the ranks, by DTensor, as the model's plan says.

M. Shoeybi et al., "Megatron-LM", arXiv 1909.08053: the first matrix of a pair is cut by columns,
the second by rows, and one all-reduce follows each pair. Every rank sees the whole batch.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from hpml_models.training.evidence import world_facts
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import (
    Case,
    Incorrect,
    MicroBatch,
    ModelBytes,
    ModelSpec,
    Rank,
    Strategy,
    Task,
    Trainer,
)
from hpml_models.worlds.meshes import mesh_of

if TYPE_CHECKING:
    from torch import Tensor, nn


class TensorParallelTrainer(EagerTrainer):
    """A model whose planned matrices are held in shards; everything else is on every rank."""

    def __init__(self, task: Task) -> None:
        """Cut the module in place."""
        from torch.distributed.tensor.parallel import parallelize_module

        from hpml_models.pipelines.stages import check_nothing_is_tied

        assert task.spec.tensor_plan is not None  # noqa: S101  why_not refused it
        self._size = task.rank.world_size
        mesh = mesh_of(task.rank, shard=self._size)
        plan = dict(task.spec.tensor_plan(task.module))
        check_nothing_is_tied([[task.module.get_submodule(name)] for name in plan])
        super().__init__(task, parallelize_module(task.module, mesh, plan))

    def make_optimizer(self) -> Any:
        """Give the optimizer shards and whole tensors as groups: it cannot mix them in one call."""
        groups = [{"params": group} for group in self.groups() if group]
        return self.task.spec.optimizer(groups)

    def groups(self) -> "tuple[list[nn.Parameter], list[nn.Parameter]]":
        """Return the parameters that are cut, and those that are whole on every rank."""
        from torch.distributed.tensor import DTensor

        everything = list(self.task.module.parameters())
        cut = {one for one in everything if isinstance(one, DTensor)}
        return [one for one in everything if one in cut], [
            one for one in everything if one not in cut
        ]

    def samples(self, micro_batches: list[MicroBatch]) -> int:
        """Count the batch on one rank: all have the same."""
        return super().samples(micro_batches) if self.task.rank.index == 0 else 0

    def step(self, micro_batches: list[MicroBatch]) -> "Tensor":
        """Return an equal part of the loss, which every rank has computed whole."""
        return super().step(micro_batches) / self._size

    def clip(self, largest_norm: float) -> None:
        """Take the norm over shards and whole tensors, then scale each kind."""
        import torch
        from torch.nn.utils import clip_grads_with_norm_, get_total_norm

        groups = [group for group in self.groups() if group]
        norms = [get_total_norm([one.grad for one in group if one.grad is not None])
                 for group in groups]  # fmt: skip
        total = torch.linalg.vector_norm(torch.stack([_full(norm) for norm in norms]))
        for group in groups:
            clip_grads_with_norm_(group, largest_norm, total)


def _full(tensor: "Tensor") -> "Tensor":
    return cast("Tensor", tensor.full_tensor()) if hasattr(tensor, "full_tensor") else tensor


class TensorParallel(Strategy):
    """``torch.distributed.tensor.parallel.parallelize_module``."""

    name = "tensor_parallel"

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Refuse a model without a plan, and heads that the ranks cannot divide."""
        if spec.tensor_plan is None:
            return f"{spec.name} has no plan by which its matrices are cut (tensor_plan)"
        heads = spec.presets[case.preset].options["heads"]
        if heads % case.device_count:
            return f"{case.device_count} ranks do not divide {heads} heads"
        return why_not_split(case.batch, 1, case.micro_batches)

    def prepare(self, task: Task) -> Trainer:
        """Cut the module over the ranks."""
        return TensorParallelTrainer(task)

    def proof(self, trainer: Trainer, rank: Rank, traffic: Mapping[str, int]) -> dict[str, Any]:
        """Check that matrices are cut, and that ranks summed what their shards gave."""
        parallel = cast("TensorParallelTrainer", trainer)
        facts = world_facts(parallel.task.module.parameters(), parallel.state)
        cut, whole = parallel.groups()
        total = sum(parameter.nbytes for parameter in [*cut, *whole])
        mine = facts["parameter_bytes"]
        summed = sum(sent for name, sent in traffic.items() if "reduce" in name)
        if mine >= total or facts["world_size"] != rank.world_size or not summed:
            raise Incorrect(
                f"tensor_parallel did not take effect: a rank holds {mine} of {total} bytes and "
                f"summed {summed}"
            )
        return {**facts, "matrices_cut": len(cut), "parameter_bytes_of_model": total}

    def model_bytes_in_theory(self, case: Case, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Say nothing: numbers alone do not tell what the model's plan cuts."""
        return None


STRATEGY = TensorParallel()
