"""RoBERTa's tokenizer: byte-level pair encoding (Y. Liu et al., arXiv 1907.11692)."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hpml_models.text.tokenizer import TokenizerKind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # ids 0 to 3 as the published ones
BYTES = 256


def load(folder: Path) -> "Tokenizer":
    """Read vocab.json and merges.txt."""
    from transformers import RobertaTokenizer

    tokenizer: Tokenizer = RobertaTokenizer.from_pretrained(str(folder)).backend_tokenizer
    return tokenizer


def train(texts: Iterable[str], size: int) -> "Tokenizer":
    """Merge the most frequent pairs until there are ``size`` tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", SPECIALS.index("</s>")), ("<s>", SPECIALS.index("<s>")), add_prefix_space=False
    )
    return tokenizer


KIND = TokenizerKind(
    name="roberta-base",
    files=("vocab.json", "merges.txt"),
    published_size=50_265,
    smallest_size=len(SPECIALS) + BYTES,
    load=load,
    train=train,
    pad="<pad>",
    start="<s>",
    end="</s>",
    unknown="<unk>",
)
