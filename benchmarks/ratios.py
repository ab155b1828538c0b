"""What the scripts beside this file print: a ratio of times, over several fresh launches."""

from collections.abc import Sequence
from math import exp
from statistics import mean, stdev


def told(name: str, logs: Sequence[float], each: str) -> str:
    """Say a ratio and its standard error, given its logarithm in each launch of ``each``."""
    ratio = exp(mean(logs))
    error = ratio * stdev(logs) / len(logs) ** 0.5
    return (
        f"{name}: {ratio:.4f} +- {error:.4f} (standard error over {len(logs)} launches of {each}; "
        f"each {', '.join(f'{exp(one):.4f}' for one in logs)})"
    )
