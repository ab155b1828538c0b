"""Words and punctuation marks as tokens, lower case: one vocabulary for two languages.

The published vocabulary that the paper's preset has room for is opus-mt-en-es's with a start
token added: given as ``tokenizer.json``, for its own files need sentencepiece.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hpml_models.text.tokenizer import WHOLE, TokenizerKind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]


def load(folder: Path) -> "Tokenizer":
    """Read tokenizer.json."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / WHOLE))


def train(texts: Iterable[str], size: int) -> "Tokenizer":
    """Keep the ``size`` most frequent words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))  # noqa: S106  no password
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, special_tokens=SPECIALS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        special_tokens=[(token, SPECIALS.index(token)) for token in ("<s>", "</s>")],
    )
    return tokenizer


KIND = TokenizerKind(
    name="opus-mt-en-es",
    files=(WHOLE,),
    published_size=65_001,
    smallest_size=len(SPECIALS) + 1,
    load=load,
    train=train,
    pad="<pad>",
    start="<s>",
    end="</s>",
    unknown="<unk>",
)
