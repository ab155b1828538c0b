"""When a run has converged, and when it has reached its target. Epochs count from 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

SMOOTHED_OVER = 3  # epochs: this one and those before
WITHIN = 0.01  # of the best


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The epoch at which a run had converged, and whether it was still falling at its end."""

    epoch: int
    best_loss: float
    is_still_falling: bool  # its best is its last epoch: more epochs might have found a better


def smoothed(values: Sequence[float], over: int = SMOOTHED_OVER) -> list[float]:
    """Return the mean of each value and up to ``over - 1`` before it."""
    return [
        sum(part) / len(part)
        for last in range(1, len(values) + 1)
        if (part := values[max(0, last - over) : last])
    ]


def converged(validation_losses: Sequence[float]) -> Convergence:
    """Return the first epoch whose smoothed validation loss is within 1 % of the run's best.

    Raise ValueError for a run without epochs, or with a loss that is no number: it diverged.
    """
    if not validation_losses:
        raise ValueError("no epoch was validated: nothing has converged")
    for epoch, loss in enumerate(validation_losses, 1):
        if not isfinite(loss):
            raise ValueError(f"validation loss {loss} in epoch {epoch}: the run diverged")
    curve = smoothed(validation_losses)
    best = min(curve)
    reached = next(
        epoch for epoch, loss in enumerate(curve, 1) if loss <= best + WITHIN * abs(best)
    )
    return Convergence(epoch=reached, best_loss=best, is_still_falling=curve[-1] == best)
