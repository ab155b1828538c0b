"""An encoder and decoder for translation: A. Vaswani et al., arXiv 1706.03762, as taught.

Post-LayerNorm blocks with GELU, sinusoidal positions, two embeddings that are not tied, a final
LayerNorm on each side, an output projection with bias. The source is encoded, then decoded into
the target under teacher forcing. Each layer takes what the layer before returns, and those of the
batch's inputs that it names.

Shapes: B batch, S source positions, T target positions, D width, H heads, V vocabulary.
"""

from math import log
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

NEVER = -1e4  # added to a score: its softmax is exactly 0 in float32, and has no NaN gradients

Streams = tuple[Tensor, Tensor]
"""What goes from layer to layer: source ``[B, S, D]`` and target ``[B, T, D]``."""

DropoutAt = Literal["sublayer", "block_end"]
"""Where dropout acts, besides after positions and after each feed-forward: on the attention's
output, before the residual sum, as published; or after a block's last LayerNorm, on the residual
stream, as a widespread course has it: with much dropout that model is worse without it than with
it, on what it was trained on, too."""


class Attention(nn.Module):
    """Attention of ``x`` to ``memory``, over as many heads as this rank's matrices hold."""

    def __init__(self, width: int, heads: int) -> None:
        """Make the four projections."""
        super().__init__()
        self._head_width = width // heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self, x: Tensor, memory: Tensor, mask_BS: Tensor | None = None, *, is_causal: bool = False
    ) -> Tensor:
        """Return ``[B, T, D]``; positions of ``memory`` where the mask is false do not count."""
        query, key, value = (
            projected.unflatten(-1, (-1, self._head_width)).transpose(1, 2)
            for projected in (self.query(x), self.key(memory), self.value(memory))
        )
        mask = None if mask_BS is None else _addend(mask_BS, query.dtype)
        mixed = scaled_dot_product_attention(query, key, value, mask, is_causal=is_causal)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


def _addend(mask_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what is added to scores ``[B, 1, 1, S]``: a sentence of padding alone gives no NaN."""
    return (~mask_BS.bool())[:, None, None, :].to(dtype) * NEVER


class FeedForward(nn.Module):
    """Two matrices with a GELU in between, and dropout."""

    def __init__(self, width: int, dropout: float) -> None:
        """Make the matrices: four times as wide in between."""
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[B, T, D]``."""
        out: Tensor = self.dropout(self.down(gelu(self.up(x))))
        return out


class Embedding(nn.Module):
    """Token ids of both languages become streams."""

    def __init__(self, vocabulary: int, width: int, length: int, dropout: float) -> None:
        """Make one embedding for each language, and the positions."""
        super().__init__()
        self.source = nn.Embedding(vocabulary, width)
        self.target = nn.Embedding(vocabulary, width)
        self.positions = nn.Buffer(positions(length, width), persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Streams:
        """Embed source ids ``[B, S]`` and target ids ``[B, T]``.

        Raises ValueError if a sentence is longer than there are positions.
        """
        longest = max(input_ids.shape[1], decoder_input_ids.shape[1])
        if longest > len(self.positions):
            raise ValueError(
                f"a sentence of {longest} tokens in a model of length {len(self.positions)}: "
                "cut it, or build the model with a greater length"
            )
        source, target = self.source(input_ids), self.target(decoder_input_ids)
        return (
            self.dropout(source + self.positions[: source.shape[1]]),
            self.dropout(target + self.positions[: target.shape[1]]),
        )


def positions(length: int, width: int) -> Tensor:
    """Return the sinusoids ``[length, width]`` of section 3.5."""
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-log(10_000) / width))
    return torch.stack([(place * rate).sin(), (place * rate).cos()], dim=-1).flatten(1)


class Block(nn.Module):
    """What encoder and decoder layers share: norms, the feed-forward, where dropout acts."""

    def __init__(self, width: int, norms: int, dropout: float, dropout_at: DropoutAt) -> None:
        """Make them; dropout acts in one of two places."""
        super().__init__()
        self.feed_forward = FeedForward(width, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(norms))
        self.at_attention = nn.Dropout(dropout if dropout_at == "sublayer" else 0)
        self.at_end = nn.Dropout(dropout if dropout_at == "block_end" else 0)

    def attended(self, norm: int, x: Tensor, attention: Tensor) -> Tensor:
        """Add what attention found, and normalise."""
        out: Tensor = self.norms[norm](x + self.at_attention(attention))
        return out

    def fed_forward(self, x: Tensor) -> Tensor:
        """Add what the feed-forward makes of it, and normalise."""
        out: Tensor = self.at_end(self.norms[-1](x + self.feed_forward(x)))
        return out


class EncoderLayer(Block):
    """Self-attention over the source, then a feed-forward; the target passes by."""

    def __init__(self, width: int, heads: int, dropout: float, dropout_at: DropoutAt) -> None:
        """Make both, each with its LayerNorm."""
        super().__init__(width, 2, dropout, dropout_at)
        self.attention = Attention(width, heads)

    def forward(self, source: Tensor, target: Tensor, attention_mask: Tensor) -> Streams:
        """Return the streams with the source a layer further."""
        x = self.attended(0, source, self.attention(source, source, attention_mask))
        return self.fed_forward(x), target


class DecoderLayer(Block):
    """Causal self-attention over the target, attention to the source, a feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float, dropout_at: DropoutAt) -> None:
        """Make the three, each with its LayerNorm."""
        super().__init__(width, 3, dropout, dropout_at)
        self.attention, self.cross = Attention(width, heads), Attention(width, heads)

    def forward(self, source: Tensor, target: Tensor, attention_mask: Tensor) -> Streams:
        """Return the streams with the target a layer further."""
        x = self.attended(0, target, self.attention(target, target, is_causal=True))
        x = self.attended(1, x, self.cross(x, source, attention_mask))
        return source, self.fed_forward(x)


class EncoderEnd(nn.Module):
    """The final LayerNorm of the source."""

    def __init__(self, width: int) -> None:
        """Make the norm."""
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, source: Tensor, target: Tensor, attention_mask: Tensor) -> Streams:  # noqa: ARG002  as layers do
        """Return the streams with the source encoded."""
        return self.norm(source), target


class Head(nn.Module):
    """The final LayerNorm of the target, and the projection to words."""

    def __init__(self, width: int, vocabulary: int) -> None:
        """Make both."""
        super().__init__()
        self.norm, self.project = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002  has been used
        """Return scores ``[B, T, V]``."""
        scores: Tensor = self.project(self.norm(target))
        return scores


class Translator(nn.Module):
    """The whole model as layers that run one after the other."""

    def __init__(  # noqa: PLR0913  the sizes
        self,
        *,
        vocabulary: int,
        d_model: int,
        heads: int,
        layers: int,
        length: int,
        dropout: float = 0.0,
        dropout_at: DropoutAt = "block_end",
    ) -> None:
        """Make ``layers`` layers on each side. Raises ValueError if the sizes do not fit."""
        super().__init__()
        _check(d_model, heads, dropout_at)
        block = (d_model, heads, dropout, dropout_at)
        self.layers = nn.ModuleList(
            [
                Embedding(vocabulary, d_model, length, dropout),
                *(EncoderLayer(*block) for _ in range(layers)),
                EncoderEnd(d_model),
                *(DecoderLayer(*block) for _ in range(layers)),
                Head(d_model, vocabulary),
            ]
        )

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, decoder_input_ids: Tensor
    ) -> Tensor:
        """Return scores ``[B, T, V]`` of ids ``[B, S]``, mask ``[B, S]``, ids ``[B, T]``."""
        embedding, *layers, head = self.layers
        source, target = embedding(input_ids, decoder_input_ids)
        for layer in layers:
            source, target = layer(source, target, attention_mask)
        scores: Tensor = head(source, target)
        return scores


def _check(d_model: int, heads: int, dropout_at: str) -> None:
    if d_model % heads:
        raise ValueError(f"d_model {d_model} is not a multiple of {heads} heads")
    if dropout_at not in get_args(DropoutAt):
        raise ValueError(f"dropout_at {dropout_at!r} is none of {', '.join(get_args(DropoutAt))}")
