"""The concepts of Self-Explaining RoBERTa: encodings of known sentences, outside the gradient.

Shapes: B sentences, D width, N concepts, K nearest concepts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

Similarity = Literal["inner_product", "cosine"]
GLOBAL_HEADS = 8  # of the attention over a sentence and its concepts
UNKNOWN = -1  # the owner of a sentence that is not in the training set


class Nearest(NamedTuple):
    """The concepts most like each sentence: rows of the store ``[B, K]``, their scores likewise."""

    rows: Tensor
    scores: Tensor


class ConceptStore(nn.Module):
    """Encodings ``[N, D]`` and whose sentence each is ``[N]``: buffers, never parameters.

    An owner is the index of a text in the training set; sentences with the same text share one.
    The encodings are random until :func:`refresh` replaces them.
    """

    def __init__(self, concepts: int, width: int, similarity: Similarity = "inner_product") -> None:
        """Make room for ``concepts`` encodings."""
        super().__init__()
        self.encodings = nn.Buffer(torch.randn(concepts, width))
        self.owners = nn.Buffer(torch.arange(concepts))
        self._similarity = similarity

    @torch.no_grad()
    def nearest(self, sentence_BD: Tensor, owner_B: Tensor, count: int) -> Nearest:
        """Return the ``count`` concepts most like each sentence, without the sentence itself."""
        if self._similarity == "cosine":
            scores = normalize(sentence_BD) @ normalize(self.encodings).T
        else:
            scores = sentence_BD @ self.encodings.T
        is_own = (self.owners == owner_B[:, None]) & (owner_B[:, None] != UNKNOWN)
        found = scores.masked_fill(is_own, float("-inf")).topk(count)
        return Nearest(found.indices, found.values)

    def distinct_share(self, nearest: Nearest) -> float:
        """Return the share of distinct concepts among all retrieved: low if few win everywhere."""
        return len(set(nearest.rows.flatten().tolist())) / nearest.rows.numel()

    def replace(self, encodings_ND: Tensor, owner_N: Tensor) -> None:
        """Fill the store, ordered by owner. Raises ValueError if the number is another."""
        if len(owner_N) != len(self.owners):
            raise ValueError(
                f"{len(owner_N)} sentences for a store of {len(self.owners)} concepts: "
                f"build the model with concepts={len(owner_N)}"
            )
        order = owner_N.argsort()
        self.encodings.copy_(encodings_ND[order])
        self.owners.copy_(owner_N[order])


def check_sizes(*, concepts: int, nearest: int, width: int) -> None:
    """Raise ValueError if retrieval or attention over concepts cannot work at these sizes."""
    if nearest >= concepts:
        raise ValueError(
            f"{nearest} nearest of {concepts} concepts, of which one may be the sentence itself: "
            f"use at least {nearest + 1} concepts"
        )
    if width % GLOBAL_HEADS:
        raise ValueError(
            f"width {width} is not a multiple of the {GLOBAL_HEADS} heads over concepts"
        )


@torch.no_grad()
def refresh(
    module: nn.Module,
    store: ConceptStore,
    encode: Callable[..., Tensor],
    sentences: Iterable[tuple[Mapping[str, Tensor], Tensor]],
) -> None:
    """Replace the store by what ``encode`` makes of sentences today.

    ``encode(**inputs)`` returns ``[B, D]`` for each batch of inputs, given with its owners
    ``[B]``. The module is in evaluation mode meanwhile; its modes and the random state stay.
    """
    encodings, owners = [], []
    with evaluating(module):
        for inputs, owner_B in sentences:
            encodings.append(encode(**inputs).float())
            owners.append(owner_B)
    store.replace(torch.cat(encodings), torch.cat(owners))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put all modules in evaluation mode; on exit, put each back in its own mode."""
    modes = {one: one.training for one in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for one, mode in modes.items():
            one.training = mode
