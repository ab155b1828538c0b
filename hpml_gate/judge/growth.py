"""Whether a step's state grows: then its time depends on how often it was called before."""

from collections.abc import Sequence
from statistics import median

MUCH = 1.10  # how much longer the last third of a launch takes than the first, in every launch
FEWEST_BLOCKS = 6


def grows(launches: Sequence[Sequence[float]]) -> bool:
    """Whether blocks get longer within each of several launches; times are launches x blocks.

    Noise does so in one launch or another, and a warm-up that was too short does the opposite.
    """
    growths = [_growth(blocks) for blocks in launches if len(blocks) >= FEWEST_BLOCKS]
    return len(growths) > 1 and min(growths) > MUCH


def _growth(blocks: Sequence[float]) -> float:
    third = len(blocks) // 3
    return median(blocks[-third:]) / median(blocks[:third])
