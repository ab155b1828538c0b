"""RoBERTa and XLM-R as classifiers, and what Self-Explaining RoBERTa adds to the former.

Y. Liu et al., arXiv 1907.11692; A. Conneau et al., arXiv 1911.02116. Imports torch and
transformers where a model is built.
"""

from typing import TYPE_CHECKING, Any

from hpml_models.networks.pretrained import Architecture, check_length, configure, make

if TYPE_CHECKING:
    from hpml_models.networks.encoders import SequenceClassifier
    from hpml_models.networks.self_explaining import SelfExplaining

BEGIN, PADDING, END = 0, 1, 2  # ids of <s>, <pad>, </s>
RESERVED = 4  # these and <unk>
UNUSED_POSITIONS = 2  # positions are counted from the padding's id + 1

# transformers' own defaults are those of no published RoBERTa.
SETTINGS = {
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": PADDING,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
}
ROBERTA = Architecture(
    config="RobertaConfig",
    model="RobertaForSequenceClassification",
    model_type="roberta",
    settings=SETTINGS,
    model_options={},
    head=("classifier.",),
)
XLM_ROBERTA = Architecture(
    config="XLMRobertaConfig",
    model="XLMRobertaForSequenceClassification",
    model_type="xlm-roberta",
    settings=SETTINGS,
    model_options={},
    head=("classifier.",),
)
# Without the pooler, which nothing would use: it would get no gradient, and DDP would stop at it.
ENCODER = Architecture(
    config="RobertaConfig",
    model="RobertaModel",
    model_type="roberta",
    settings=SETTINGS,
    model_options={"add_pooling_layer": False},
    head=(),
)


def classifier(
    architecture: Architecture, *, labels: int, checkpoint: str = "", **sizes: Any
) -> "SequenceClassifier":
    """Build a classifier of whole sequences; ``sizes`` as in :func:`settings_of`."""
    from hpml_models.networks.encoders import ClassificationHead, SequenceClassifier, body_of

    config = configure(architecture, **settings_of(**sizes), num_labels=labels)
    model: Any = make(architecture, config, checkpoint)
    return SequenceClassifier([*body_of(model.roberta), ClassificationHead(model.classifier)])


def self_explaining(  # noqa: PLR0913  the options
    *,
    labels: int,
    concepts: int,
    nearest: int,
    head_dropout: float,
    objective: Any,
    similarity: Any,
    checkpoint: str = "",
    **sizes: Any,
) -> "SelfExplaining":
    """Build Self-Explaining RoBERTa; ``sizes`` as in :func:`settings_of`."""
    from hpml_models.networks.concepts import check_sizes
    from hpml_models.networks.encoders import body_of
    from hpml_models.networks.self_explaining import SelfExplaining, SelfExplainingHead

    width = sizes["width"]
    check_sizes(concepts=concepts, nearest=nearest, width=width)
    encoder = make(ENCODER, configure(ENCODER, **settings_of(**sizes)), checkpoint)
    head = SelfExplainingHead(
        width=width,
        classes=labels,
        concepts=concepts,
        nearest=nearest,
        dropout=head_dropout,
        objective=objective,
        similarity=similarity,
    )
    return SelfExplaining([*body_of(encoder), head])


def settings_of(  # noqa: PLR0913  the sizes
    *,
    vocabulary: int,
    width: int,
    heads: int,
    layers: int,
    length: int,
    positions: int,
    dropout: float,
    **_: Any,
) -> dict[str, Any]:
    """Return what transformers calls these sizes.

    Raises ValueError if sentences of ``length`` tokens go beyond the model's ``positions``.
    """
    check_length(length, positions)
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": 4 * width,
        "max_position_embeddings": positions + UNUSED_POSITIONS,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }


def encoder_parameters(
    *, vocabulary: int, width: int, layers: int, positions: int, **_: Any
) -> int:
    """Count by hand, without pooler: embeddings of words, positions and one kind; layers."""
    embeddings = (vocabulary + positions + UNUSED_POSITIONS + 1 + 2) * width
    return embeddings + layers * (12 * width**2 + 13 * width)


def pooler_parameters(width: int) -> int:
    """Count the dense layer that the published figure has above the encoder."""
    return width**2 + width


def head_parameters(*, width: int, labels: int, **_: Any) -> int:
    """Count a classifier's dense layer and projection."""
    return width**2 + width + (width + 1) * labels


def self_explaining_parameters(*, width: int, labels: int, **_: Any) -> int:
    """Count what Self-Explaining RoBERTa has above its encoder: attention, three projections."""
    return 4 * width**2 + 4 * width + 3 * (width + 1) * labels
