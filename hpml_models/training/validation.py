"""Validation of a model that ranks may hold in parts: on a whole copy, in evaluation mode."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hpml_models.types import Snapshot
from hpml_models.variants import Trainer

if TYPE_CHECKING:
    from torch import Tensor, nn

Measure = Callable[["nn.Module"], float]
"""The quality of a whole model; higher is better."""


class Validation:
    """Measures the model that a trainer has by now, under any strategy in the same way."""

    def __init__(self, module: "nn.Module", measure: Measure) -> None:
        """Copy a module before a strategy takes it apart."""
        self._module, self._measure = deepcopy(module).eval(), measure

    def __call__(self, trainer: Trainer) -> float:
        """Gather the model on the first rank, and measure it there; all ranks must ask."""
        import torch

        tensors = _gathered(trainer.snapshot())
        quality = 0.0
        if tensors is not None:
            with torch.no_grad():
                for name, own in self._tensors().items():
                    own.copy_(tensors[name])
                quality = self._measure(self._module)
        return _from_first(quality)

    def _tensors(self) -> "dict[str, Tensor]":
        kept = self._module.state_dict().keys()
        buffers = {name: one for name, one in self._module.named_buffers() if name in kept}
        return {**buffers, **dict(self._module.named_parameters())}


def _gathered(snapshot: Snapshot) -> "Mapping[str, Tensor] | None":
    """Return parameters and buffers of the whole model on the first rank; None on all others."""
    import torch.distributed as dist

    own = {**snapshot.parameters, **snapshot.buffers}
    if not dist.is_initialized():
        return own
    names: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(names, list(own))
    sent_before = {name for others in names[: dist.get_rank()] for name in others}
    parts: list[Any] = [None] * dist.get_world_size()
    mine = {name: tensor for name, tensor in own.items() if name not in sent_before}
    dist.gather_object(mine, parts if dist.get_rank() == 0 else None)
    if dist.get_rank():
        return None
    return {name: tensor for part in parts for name, tensor in part.items()}


def _from_first(value: float) -> float:
    import torch.distributed as dist

    if not dist.is_initialized():
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]
