"""Schedules of the learning rate, for a recipe; and one brought to where a run had got."""

import warnings
from functools import partial
from typing import TYPE_CHECKING

from hpml_models.types import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


def warm_up_and_decay(warm_up: int) -> "Callable[[Optimizer, int], LRScheduler]":
    """Return a schedule: up for ``warm_up`` steps, and down to zero from the first to the last."""
    return partial(_linear, warm_up=warm_up)


def _linear(optimizer: "Optimizer", steps: int, *, warm_up: int) -> "LRScheduler":
    from torch.optim.lr_scheduler import LambdaLR

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / max(1, warm_up)) * max(0.0, (steps - step) / steps)

    return LambdaLR(optimizer, factor)


def scheduler_at(
    recipe: Recipe, optimizer: "Optimizer", *, steps: int, done: int
) -> "LRScheduler | None":
    """Return a recipe's scheduler of a run of ``steps`` steps when some are done, None without one.

    It goes there step by step: a scheduler's own state names an optimizer's groups, of which
    strategies make different ones.
    """
    if recipe.schedule is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer has not stepped: it has, before
        scheduler = recipe.schedule(optimizer, steps)
        for _ in range(done):
            scheduler.step()
    return scheduler
