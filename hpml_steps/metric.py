"""A second figure of a step beside its time."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure beside the time; ``better`` and ``margin`` say how it may be judged."""

    value: float
    better: Literal["lower", "higher"]
    margin: float
