"""Training in plain PyTorch: it shares no code with the suite's trainers."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]
Pair = tuple[Tensors, Tensors]
"""Inputs and targets of a batch."""


def train(  # noqa: PLR0913  the recipe
    module: nn.Module,
    batches: Iterator[Pair],
    loss: Callable[[Tensor, Tensors], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    warm_up: int = 0,
    decay: bool = False,
    clip_norm: float | None = None,
) -> list[float]:
    """Return the loss of each step; the learning rate warms up, and may fall to zero."""

    def factor(step: int) -> float:
        warm = min(1, (step + 1) / max(1, warm_up))
        return warm * ((steps - step) / steps if decay else 1)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    losses = []
    module.train()
    for inputs, targets in islice(batches, steps):
        optimizer.zero_grad()
        value = loss(module(**inputs), targets)
        value.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
        optimizer.step()
        schedule.step()
        losses.append(value.item())
    return losses


def shuffled(
    count: int, batch: int, make: Callable[[Sequence[int]], Pair], seed: int = 0
) -> Iterator[Pair]:
    """Yield batches of rows without end, each epoch in another order; what is left over is cut."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=generator).tolist()
        for first in range(0, count - batch + 1, batch):
            yield make(order[first : first + batch])


def bucketed(
    sizes: Sequence[int], batch: int, make: Callable[[Sequence[int]], Pair], seed: int = 0
) -> Iterator[Pair]:
    """Yield batches of rows of similar length, without end: little padding."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        noise = torch.rand(len(sizes), generator=generator).tolist()
        order = sorted(range(len(sizes)), key=lambda row: (sizes[row], noise[row]))
        starts = torch.randperm(len(sizes) // batch, generator=generator).tolist()
        for start in starts:
            yield make(order[start * batch : (start + 1) * batch])
