"""The order in which a rank of a pipeline works, as seen there and as its schedule has it."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any, Literal

Chunk = Literal["F", "B", "W"]
"""A micro-batch's forward pass, its backward pass, and where that is split, its weights' part."""


class ChunkOrder:
    """Writes down the chunks of work of one step."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._chunks: list[Chunk] = []

    def clear(self) -> None:
        """Begin a step."""
        self._chunks = []

    def noting(self, chunk: Chunk, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function as one that is written down."""

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._chunks.append(chunk)
            return call(*args, **kwargs)

        return noted

    def count(self, chunk: Chunk) -> int:
        """Count chunks of a kind."""
        return self._chunks.count(chunk)

    @property
    def in_flight(self) -> int:
        """The most micro-batches whose activations were held at once."""
        held = accumulate({"F": 1, "B": -1, "W": 0}[chunk] for chunk in self._chunks)
        return max(held, default=0)


def in_flight_in_theory(variant: str, stages: int, place: int, micro_batches: int) -> int:
    """Return how many micro-batches a schedule has under way on the rank at a place, at most.

    GPipe (arXiv 1811.06965) has all of them, and so has a pipeline without a variant. 1F1B (arXiv
    2104.04473, 2.2) has no more than there are stages from here on; with two stages on each rank
    (the same, and Megatron-LM's order of warm-up) their number is twice that, and as many as there
    are ranks, less one. torch's zero bubble (arXiv 2401.10241) starts fewer before it alternates.
    """
    behind = stages - place
    if variant == "1f1b":
        return min(micro_batches, behind)
    if variant == "interleaved":
        return min(2 * micro_batches, 2 * behind + stages - 1)
    if variant == "zero_bubble":
        return min(2 * micro_batches, behind + stages)
    return micro_batches
