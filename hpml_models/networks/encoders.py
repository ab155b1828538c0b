"""Encoders of transformers (BERT, RoBERTa, XLM-R) as layers that run one after the other.

The layers are transformers' own. Each takes what the layer before returns, and those of the
batch's inputs that it names: so a pipeline can cut between any two.

Shapes: B sentences, T tokens, D width, C classes.
"""

from typing import Any

from torch import Tensor, nn

NEVER = -1e4  # the score of a position that is padding: its softmax is 0 in every precision


class Embeddings(nn.Module):
    """Words, positions and kinds of token, summed and normalised."""

    def __init__(self, embeddings: nn.Module) -> None:
        """Hold transformers' embeddings."""
        super().__init__()
        self.embeddings = embeddings

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return ``[B, T, D]`` of token ids ``[B, T]``."""
        embedded: Tensor = self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        return embedded


class Block(nn.Module):
    """Self-attention and a feed-forward; no token attends to padding."""

    def __init__(self, block: nn.Module) -> None:
        """Hold a layer of transformers."""
        super().__init__()
        self.block = block

    def forward(self, hidden_BTD: Tensor, attention_mask: Tensor) -> Tensor:
        """Return ``[B, T, D]``. The mask ``[B, T]`` is false, or 0, where there is padding.

        A mask of two dimensions is read by value in transformers: on CUDA the host would wait.
        """
        hidden: Tensor = self.block(hidden_BTD, attention_mask[:, None, None, :].bool())
        return hidden


class ClassificationHead(nn.Module):
    """Scores of classes from the first token."""

    def __init__(self, head: nn.Module) -> None:
        """Hold RoBERTa's head: a dense layer and a projection."""
        super().__init__()
        self.head = head

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        """Return ``[B, C]``."""
        scores: Tensor = self.head(hidden_BTD)
        return scores


class SpanHead(nn.Module):
    """Scores of each token as the first and as the last of the answer."""

    def __init__(self, project: nn.Module) -> None:
        """Hold the projection to two scores."""
        super().__init__()
        self.project = project

    def forward(self, hidden_BTD: Tensor, attention_mask: Tensor) -> Tensor:
        """Return ``[B, T, 2]``: first, last. Padding is never an answer."""
        scores: Tensor = self.project(hidden_BTD)
        return scores.masked_fill(~attention_mask[:, :, None].bool(), NEVER)


class LayeredEncoder(nn.Module):
    """Embeddings, blocks and a head, one after the other."""

    def __init__(self, layers: list[nn.Module]) -> None:
        """Hold the layers."""
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return what the blocks make ``[B, T, D]`` of token ids ``[B, T]``."""
        embeddings, *blocks, _ = self.layers
        hidden: Tensor = embeddings(input_ids, token_type_ids)
        for block in blocks:
            hidden = block(hidden, attention_mask)
        return hidden


class SequenceClassifier(LayeredEncoder):
    """An encoder whose head sees the tokens' vectors only."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return scores ``[B, C]``."""
        scores: Tensor = self.layers[-1](self.encode(input_ids, attention_mask))
        return scores


class QuestionAnswerer(LayeredEncoder):
    """An encoder of a question and a text in which the answer may be."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return scores ``[B, T, 2]`` of each token as the answer's first and last."""
        hidden = self.encode(input_ids, attention_mask, token_type_ids)
        scores: Tensor = self.layers[-1](hidden, attention_mask)
        return scores


def body_of(model: nn.Module) -> list[nn.Module]:
    """Return the embeddings and the blocks of one of transformers' encoders."""
    encoder: Any = model
    return [Embeddings(encoder.embeddings), *(Block(one) for one in encoder.encoder.layer)]
