"""A small training problem that a rank can build from plain data, and its single-device answer.

No pytest here: ranks import this file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpml_models import registry
from hpml_models.precision import PRECISIONS
from hpml_models.types import Batch, Rank, Task, Trainer

Parameters = dict[str, NDArray[Any]]

OPTIMIZERS: dict[str, Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    # At the usual eps of 1e-8 Adam hides the scale of a gradient, and with it most faults.
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, eps=1e-3),
}


@dataclass(frozen=True)
class Problem:
    """What is drawn: everything else follows from it."""

    widths: tuple[int, ...]
    batch: int
    steps: int
    optimizer: str
    seed: int
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        return torch.float64 if self.dtype == "float64" else torch.float32

    @property
    def unit_roundoff(self) -> float:
        return torch.finfo(self.torch_dtype).eps / 2


def train(
    rank: Rank,
    prepare: Callable[[Task], Trainer],
    problem: Problem,
    jitter_seed: int | None = None,
) -> Parameters:
    """Train the problem's model as ``prepare`` puts it; every rank is given the global batches."""
    torch.set_num_threads(1)
    module, batches = _build(problem)
    if jitter_seed is not None:
        _jitter(module, batches, problem.unit_roundoff, jitter_seed)
    task = Task(
        module=module,
        loss=mean_squared_error,
        optimizer=OPTIMIZERS[problem.optimizer],
        precision=PRECISIONS["fp32"],  # no autocast: the module's own dtype is used
        rank=rank,
    )
    trainer = prepare(task)
    for batch in batches:
        trainer.step(trainer.share(batch))
    return {name: value.numpy().copy() for name, value in trainer.parameters().items()}


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.mse_loss(outputs, targets)


def on_one_device(problem: Problem, jitter_seed: int | None = None) -> Parameters:
    alone = Rank(index=0, world_size=1, device="cpu", kept={})
    return train(alone, registry.strategies()["single"].prepare, problem, jitter_seed)


def _build(problem: Problem) -> tuple[nn.Module, list[Batch]]:
    generator = torch.Generator().manual_seed(problem.seed)
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(problem.widths):
        layers += [nn.Linear(width_in, width_out), nn.Tanh()]
    module = nn.Sequential(*layers[:-1]).to(problem.torch_dtype)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)

    def draw(width: int) -> Tensor:
        return torch.randn(problem.batch, width, generator=generator, dtype=problem.torch_dtype)

    first, last = problem.widths[0], problem.widths[-1]
    return module, [Batch(draw(first), draw(last)) for _ in range(problem.steps)]


def _jitter(module: nn.Module, batches: list[Batch], unit_roundoff: float, seed: int) -> None:
    """Move weights and inputs by up to two units of roundoff, relative to each."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*module.parameters(), *(batch.inputs for batch in batches)]:
            noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) * 2 - 1
            tensor.mul_(1 + 2 * unit_roundoff * noise)


def worst_error(found: Parameters, problem: Problem) -> float:
    """Return the largest deviation from one device, in units of what is allowed: above 1 is wrong.

    Allowed per tensor: 8 times the larger of a floor and four units of roundoff of the tensor's
    largest value. The floor is how far one device itself moves when weights and inputs are
    jittered by two units of roundoff: it tells well-conditioned problems from others.
    """
    expected = on_one_device(problem)
    jittered = [on_one_device(problem, jitter_seed) for jitter_seed in (1, 2, 3)]
    assert found.keys() == expected.keys()
    errors = []
    for name, value in expected.items():
        floor = max(_distance(one[name], value) for one in jittered)
        allowed = 8 * max(floor, 4 * problem.unit_roundoff * float(np.abs(value).max()))
        errors.append(_distance(found[name], value) / allowed)
    return max(errors)


def _distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one - other).max())
