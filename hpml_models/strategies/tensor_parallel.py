"""Tensor parallelism: single matrices cut over the ranks, by DTensor, as the model's plan says.

M. Shoeybi et al., "Megatron-LM", arXiv 1909.08053: the first matrix of a pair is cut by columns,
the second by rows, and one all-reduce follows each pair. Every rank sees the whole batch.
"""

from typing import TYPE_CHECKING, Any, cast

from hpml_models.instruments.traffic import Traffic
from hpml_models.training.evidence import world_facts
from hpml_models.training.micro_batches import why_not_split
from hpml_models.training.trainer import EagerTrainer
from hpml_models.types import ModelBytes, ModelSpec, ParallelCase, Split, Task
from hpml_models.variants import Strategy
from hpml_models.worlds.meshes import mesh_of
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn


class TensorParallelTrainer(EagerTrainer):
    """A model whose planned matrices are held in shards; everything else is on every rank."""

    draws_alike = True

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
        """Give the optimizer shards and whole tensors apart: it cannot mix them in one call."""
        recipe = self.task.spec.recipe
        groups = [
            {**group, "params": kind}
            for group in recipe.groups(self.task.module.named_parameters())
            for kind in _by_kind(group["params"])
        ]
        return recipe.optimizer(groups)

    def samples(self, split: Split) -> int:
        """Count the batch on one rank: all have the same."""
        return super().samples(split) if self.task.rank.index == 0 else 0

    def step(self, split: Split) -> "Tensor":
        """Return an equal part of the loss, which every rank has computed whole."""
        return super().step(split) / self._size

    def clip(self, largest_norm: float) -> None:
        """Take the norm over shards and whole tensors, then scale each kind."""
        import torch
        from torch.nn.utils import clip_grads_with_norm_, get_total_norm

        kinds = _by_kind(self.task.module.parameters())
        norms = [
            get_total_norm([one.grad for one in kind if one.grad is not None]) for kind in kinds
        ]
        total = torch.linalg.vector_norm(torch.stack([_full(norm) for norm in norms]))
        for kind in kinds:
            clip_grads_with_norm_(kind, largest_norm, total)

    def proof(self, traffic: Traffic) -> dict[str, Any]:
        """Check that matrices are cut, and that ranks summed what their shards gave."""
        from torch.distributed.tensor import DTensor

        parameters = list(self.task.module.parameters())
        facts = world_facts(parameters, self.state)
        total = sum(parameter.nbytes for parameter in parameters)
        mine = facts["parameter_bytes"]
        summed = traffic.of("reduce")
        if mine >= total or facts["world_size"] != self._size or not summed:
            raise Incorrect(
                f"tensor_parallel did not take effect: a rank holds {mine} of {total} bytes and "
                f"summed {summed}"
            )
        cut = sum(isinstance(parameter, DTensor) for parameter in parameters)
        if left_whole := _whole_matrices(self.task):
            raise Incorrect(f"tensor_parallel leaves matrices of layers whole: {left_whole}")
        return {**facts, "matrices_cut": cut, "parameter_bytes_of_model": total}


def _whole_matrices(task: Task) -> list[str]:
    """Name the linear layers that are whole on every rank, between the first layer and the last.

    There, in a Transformer, all of them belong to pairs (section 3 of the paper).
    """
    from torch import nn
    from torch.distributed.tensor import DTensor

    layers = task.spec.pipeline_layers(task.module)[1:-1] if task.spec.pipeline_layers else []
    return [
        f"{number}.{name}"
        for number, layer in enumerate(layers, start=1)
        for name, part in layer.named_modules()
        if isinstance(part, nn.Linear) and not isinstance(part.weight, DTensor)
    ]


def _by_kind(parameters: "Iterable[nn.Parameter]") -> "list[list[nn.Parameter]]":
    """Return the parameters that are cut, and those that are whole on every rank."""
    from torch.distributed.tensor import DTensor

    kinds: dict[bool, list[nn.Parameter]] = {}
    for parameter in parameters:
        kinds.setdefault(isinstance(parameter, DTensor), []).append(parameter)
    return list(kinds.values())


def _full(tensor: "Tensor") -> "Tensor":
    return cast("Tensor", tensor.full_tensor()) if hasattr(tensor, "full_tensor") else tensor


class TensorParallel(Strategy):
    """``torch.distributed.tensor.parallel.parallelize_module``."""

    name = "tensor_parallel"
    keeps_tied_weights = False

    def replicas(self, case: ParallelCase) -> int:  # noqa: ARG002
        """Return one: every rank sees the whole batch."""
        return 1

    def why_not(self, spec: ModelSpec, case: ParallelCase) -> str | None:
        """Refuse a model without a plan, and heads that the ranks cannot divide."""
        if spec.tensor_plan is None:
            return f"{spec.name} has no plan by which its matrices are cut (tensor_plan)"
        heads = spec.options_of(case)["heads"]
        if heads % case.device_count:
            return f"{case.device_count} ranks do not divide {heads} heads"
        return why_not_split(case.batch, 1, case.micro_batches)

    def prepare(self, task: Task) -> TensorParallelTrainer:
        """Cut the module over the ranks."""
        return TensorParallelTrainer(task)

    def model_bytes_in_theory(self, case: ParallelCase, single: ModelBytes) -> float | None:  # noqa: ARG002
        """Say nothing: numbers alone do not tell what the model's plan cuts."""
        return None


STRATEGY = TensorParallel()
