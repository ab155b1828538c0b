"""BERT from transformers' own layers, as one sequence that can be cut.

Shapes: B batch, T positions, D width, K labels.
"""

from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertEmbeddings, BertLayer, BertPooler


class Embeddings(nn.Module):
    """Words, positions and segments, added and normalised."""

    def __init__(self, config: BertConfig) -> None:
        """Make the three tables and the norm."""
        super().__init__()
        self.embeddings = BertEmbeddings(config)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return ``[B, T, D]`` of token ids ``[B, T]``."""
        embedded: Tensor = self.embeddings(input_ids)
        return embedded


class Layer(nn.Module):
    """Attention to the positions that are no padding, and a feed-forward."""

    def __init__(self, config: BertConfig) -> None:
        """Make the layer."""
        super().__init__()
        self.layer = BertLayer(config)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Return ``[B, T, D]``; the mask ``[B, T]`` is 0 at padding."""
        mixed: Tensor = self.layer(hidden, attention_mask[:, None, None, :].bool())
        return mixed


class Head(nn.Module):
    """Pooler of the first position, and classifier."""

    def __init__(self, config: BertConfig, labels: int) -> None:
        """Make both."""
        super().__init__()
        self.pooler = BertPooler(config)
        self.classifier = nn.Linear(config.hidden_size, labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return scores ``[B, K]``."""
        scores: Tensor = self.classifier(self.pooler(hidden))
        return scores


class SequenceClassifier(nn.Module):
    """Embeddings, layers, head."""

    def __init__(  # noqa: PLR0913  the sizes
        self, *, vocabulary: int, width: int, heads: int, layers: int, length: int, labels: int
    ) -> None:
        """Make all of them, without dropout: strategies would draw it differently."""
        super().__init__()
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_attention_heads=heads,
            num_hidden_layers=layers,
            intermediate_size=4 * width,
            max_position_embeddings=length,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="sdpa",  # type: ignore[call-arg]  # taken by its base class
        )
        self.layers = nn.ModuleList(
            [Embeddings(config), *(Layer(config) for _ in range(layers)), Head(config, labels)]
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return scores ``[B, K]`` of token ids ``[B, T]`` and their mask ``[B, T]``."""
        embeddings, *layers, head = self.layers
        hidden = embeddings(input_ids)
        for layer in layers:
            hidden = layer(hidden, attention_mask)
        scores: Tensor = head(hidden)
        return scores
