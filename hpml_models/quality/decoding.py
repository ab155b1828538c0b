"""Greedy decoding, whatever the model. B sentences, T tokens so far, V vocabulary."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from hpml_models.text.tokenizer import SpecialIds


def greedy(
    scores_of: "Callable[[Tensor], Tensor]",
    special: "SpecialIds",
    *,
    batch: int,
    length: int,
    device: str = "cpu",
) -> "Tensor":
    """Return the likeliest tokens ``[batch, T]``, one after the other, after the start token.

    ``scores_of`` turns tokens so far ``[B, T]`` into scores ``[B, T, V]`` of what follows each; the
    last are used. A sentence that has ended is padded; the loop ends when all have, or at
    ``length`` tokens. The start token is left out, the end token is part of a sentence.
    """
    import torch

    tokens = torch.full((batch, 1), special.start, device=device)
    has_ended = torch.zeros(batch, dtype=torch.bool, device=device)
    while not has_ended.all() and tokens.shape[1] <= length:
        following = scores_of(tokens)[:, -1].argmax(dim=-1)
        following = following.where(~has_ended, special.pad)
        tokens = torch.cat([tokens, following[:, None]], dim=1)
        has_ended |= following == special.end
    return tokens[:, 1:]
