"""BERT that answers questions by a span of the text: J. Devlin et al., arXiv 1810.04805.

Imports torch and transformers where a model is built.
"""

from typing import TYPE_CHECKING, Any

from hpml_models.networks.pretrained import Architecture, check_length, configure, make

if TYPE_CHECKING:
    from hpml_models.networks.encoders import QuestionAnswerer

BERT = Architecture(
    config="BertConfig",
    model="BertForQuestionAnswering",
    model_type="bert",
    settings={},
    model_options={},
    head=("qa_outputs.",),
)


def question_answering(  # noqa: PLR0913  the sizes
    *,
    vocabulary: int,
    width: int,
    heads: int,
    layers: int,
    length: int,
    positions: int,
    dropout: float,
    checkpoint: str = "",
    **_: Any,
) -> "QuestionAnswerer":
    """Build BERT with two scores for each token.

    Raises ValueError if texts of ``length`` tokens go beyond the model's ``positions``.
    """
    from hpml_models.networks.encoders import QuestionAnswerer, SpanHead, body_of

    check_length(length, positions)
    config = configure(
        BERT,
        vocab_size=vocabulary,
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=4 * width,
        max_position_embeddings=positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    model: Any = make(BERT, config, checkpoint)
    return QuestionAnswerer([*body_of(model.bert), SpanHead(model.qa_outputs)])


def parameter_count(*, vocabulary: int, width: int, layers: int, positions: int, **_: Any) -> int:
    """Count by hand: three embeddings and a norm, the layers, two scores; there is no pooler."""
    embeddings = (vocabulary + positions + 2 + 2) * width
    return embeddings + layers * (12 * width**2 + 13 * width) + (width + 1) * 2
