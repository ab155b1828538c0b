"""An encoder and decoder for translation: A. Vaswani et al., arXiv 1706.03762, as taught.

Post-LayerNorm blocks with GELU, sinusoidal positions, two embeddings that are not tied, a final
LayerNorm on each side, an output projection with bias. The source is encoded, then decoded into
the target under teacher forcing.

Shapes: B batch, S source positions, T target positions, D width, H heads, V vocabulary.
"""

from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

PAD = 0
NEVER = -1e4  # added to a score: its softmax is exactly 0 in float32, and has no NaN gradients


Streams = tuple[Tensor, Tensor]
"""What goes from layer to layer: source ``[B, S, D]`` and target ``[B, T, D]``."""


class Attention(nn.Module):
    """Attention of ``x`` to ``memory``, over as many heads as this rank's matrices hold."""

    def __init__(self, width: int, heads: int) -> None:
        """Make the four projections."""
        super().__init__()
        self._head_width = width // heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask_BS: Tensor | None = None,
        *,
        is_causal: bool = False,
    ) -> Tensor:
        """Return ``[B, T, D]``; the mask is 0 where ``memory`` is padding."""
        query, key, value = (
            projected.unflatten(-1, (-1, self._head_width)).transpose(1, 2)
            for projected in (self.query(x), self.key(memory), self.value(memory))
        )
        added = None if mask_BS is None else (1 - mask_BS[:, None, None, :]).to(query.dtype) * NEVER
        mixed = scaled_dot_product_attention(query, key, value, added, is_causal=is_causal)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two matrices with a GELU in between."""

    def __init__(self, width: int) -> None:
        """Make the matrices: four times as wide in between."""
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[B, T, D]``."""
        out: Tensor = self.down(gelu(self.up(x)))
        return out


class Embedding(nn.Module):
    """Token ids of both languages become streams."""

    def __init__(self, vocabulary: int, width: int, length: int) -> None:
        """Make one embedding for each language, and the positions."""
        super().__init__()
        self.source = nn.Embedding(vocabulary, width)
        self.target = nn.Embedding(vocabulary, width)
        self.positions = nn.Buffer(positions(length, width), persistent=False)

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Streams:
        """Embed the source ``[B, S]`` and the target ``[B, T]``."""
        return (
            self.source(input_ids) + self.positions[: input_ids.shape[1]],
            self.target(decoder_input_ids) + self.positions[: decoder_input_ids.shape[1]],
        )


def positions(length: int, width: int) -> Tensor:
    """Return the sinusoids ``[length, width]`` of section 3.5."""
    place = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-log(10_000) / width))
    return torch.stack([(place * rate).sin(), (place * rate).cos()], dim=-1).flatten(1)


class EncoderLayer(nn.Module):
    """Self-attention over the source, then a feed-forward; the target passes by."""

    def __init__(self, width: int, heads: int) -> None:
        """Make both, each with its LayerNorm."""
        super().__init__()
        self.attention, self.feed_forward = Attention(width, heads), FeedForward(width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, source: Tensor, target: Tensor, attention_mask: Tensor) -> Streams:
        """Return the streams with the source a layer further."""
        x = self.norms[0](source + self.attention(source, source, attention_mask))
        return self.norms[1](x + self.feed_forward(x)), target


class DecoderLayer(nn.Module):
    """Causal self-attention over the target, attention to the source, a feed-forward."""

    def __init__(self, width: int, heads: int) -> None:
        """Make the three, each with its LayerNorm."""
        super().__init__()
        self.attention, self.cross = Attention(width, heads), Attention(width, heads)
        self.feed_forward = FeedForward(width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, source: Tensor, target: Tensor, attention_mask: Tensor) -> Streams:
        """Return the streams with the target a layer further."""
        x = self.norms[0](target + self.attention(target, target, is_causal=True))
        x = self.norms[1](x + self.cross(x, source, attention_mask))
        return source, self.norms[2](x + self.feed_forward(x))


class EncoderEnd(nn.Module):
    """The final LayerNorm of the source."""

    def __init__(self, width: int) -> None:
        """Make the norm."""
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, source: Tensor, target: Tensor) -> Streams:
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

    def __init__(self, vocabulary: int, width: int, heads: int, layers: int, length: int) -> None:
        """Make ``layers`` layers on each side, for sentences of ``length`` words at most."""
        super().__init__()
        self.layers = nn.ModuleList(
            [
                Embedding(vocabulary, width, length),
                *(EncoderLayer(width, heads) for _ in range(layers)),
                EncoderEnd(width),
                *(DecoderLayer(width, heads) for _ in range(layers)),
                Head(width, vocabulary),
            ]
        )

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, decoder_input_ids: Tensor
    ) -> Tensor:
        """Return scores ``[B, T, V]`` of token ids ``[B, S]``, their mask, and ``[B, T]``."""
        embedding, *layers, head = self.layers
        source, target = embedding(input_ids, decoder_input_ids)
        for layer in layers:
            masks = () if isinstance(layer, EncoderEnd) else (attention_mask,)
            source, target = layer(source, target, *masks)
        scores: Tensor = head(source, target)
        return scores
