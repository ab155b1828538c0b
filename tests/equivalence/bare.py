"""The reference of every strategy: a loop of plain PyTorch that knows none of the trainers.

It imports nothing of ``hpml_models``, and states the loss and the clipping once more by hand: a
fault in what all strategies share cannot hide in it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Arrays = dict[str, NDArray[Any]]


class Batch(Protocol):
    """Named inputs and targets."""

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """What the module is called with."""

    @property
    def targets(self) -> Mapping[str, Tensor]:
        """What the loss is given."""


def sum_over_counted(outputs: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """Return the squared error of the samples that count, summed over those alone."""
    total = 0 * outputs.sum()
    for row, value, counts in zip(outputs, targets["values"], targets["counts"], strict=True):
        if counts:
            total = total + ((row - value) ** 2).sum() / value.numel()
    return total


def parts_of(batch: Batch, size: int) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Yield inputs and targets of so many samples after the other."""
    for start in range(0, len(batch.targets["counts"]), size):
        rows = slice(start, start + size)
        yield (
            {name: one[rows] for name, one in batch.inputs.items()},
            {name: one[rows] for name, one in batch.targets.items()},
        )


def clip(gradients: Sequence[Tensor], largest_norm: float) -> None:
    """Scale all gradients together if their common norm is larger.

    The 1e-6 is that of ``torch.nn.utils.clip_grad_norm_``, against a norm of zero.
    """
    norm = sum((gradient**2).sum().item() for gradient in gradients) ** 0.5
    for gradient in gradients:
        gradient.mul_(min(1.0, largest_norm / (norm + 1e-6)))


def train_bare(
    module: nn.Module,
    batches: Sequence[Batch],
    make_optimizer: Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer],
    clip_norm: float | None,
    *,
    by_sample: bool = False,
) -> Arrays:
    """Train a module on whole batches; return losses, last gradients, parameters and state.

    ``by_sample`` adds the samples' gradients up one by one: the same sums in another order.
    """
    parameters = dict(module.named_parameters())
    optimizer = make_optimizer(parameters.items())
    losses = []
    gradients: dict[str, Tensor] = {}
    for batch in batches:
        for parameter in parameters.values():
            parameter.grad = None
        count = max(1, int(batch.targets["counts"].sum()))
        value = 0.0
        for inputs, targets in parts_of(batch, 1 if by_sample else len(batch.targets["counts"])):
            loss = sum_over_counted(module(**inputs), targets) / count
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            value += loss.item()
        gradients = {name: one.grad for name, one in parameters.items() if one.grad is not None}
        if clip_norm is not None:
            clip([*gradients.values()], clip_norm)
        optimizer.step()
        losses.append(value)
    return {
        "losses": np.array(losses),
        **{f"gradient {name}": one.numpy().copy() for name, one in gradients.items()},
        **{f"parameter {name}": one.detach().numpy().copy() for name, one in parameters.items()},
        **_state(optimizer, parameters),
    }


def _state(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> Arrays:
    return {
        f"optimizer {name}.{key}": value.numpy().copy()
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor) and value.dim()
    }
