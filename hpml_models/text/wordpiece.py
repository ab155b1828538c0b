"""BERT's tokenizer: WordPiece, lower case (J. Devlin et al., arXiv 1810.04805)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpml_models.text.tokenizer import TokenizerKind

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ALPHABET = 200  # the most frequent letters; each counts twice: at a word's start and within


def load(folder: Path) -> "Tokenizer":
    """Read vocab.txt."""
    from transformers import BertTokenizer

    tokenizer: Tokenizer = BertTokenizer.from_pretrained(str(folder)).backend_tokenizer
    return tokenizer


def train(texts: Iterable[str], size: int) -> "Tokenizer":
    """Merge the pieces that occur together most often until there are ``size`` tokens.

    The trainer numbers letters within words by the order of a hash table, which is another in
    each process; they are numbered here, as control tokens of a tokenizer that is thrown away.
    """
    from tokenizers.trainers import WordPieceTrainer

    kept = list(texts)
    trained = _untrained({"[UNK]": 0})
    letters = _letters(trained, kept)
    trainer = WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*SPECIALS, *letters, *("##" + letter for letter in letters)],
        initial_alphabet=list(letters),
        limit_alphabet=len(letters),
        show_progress=False,
    )
    trained.train_from_iterator(kept, trainer)
    return _framed(trained.get_vocab())


def _letters(tokenizer: "Tokenizer", texts: Iterable[str]) -> Sequence[str]:
    counts = Counter[str]()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    frequent = sorted(counts, key=lambda letter: (-counts[letter], letter))
    return sorted(letter for letter in frequent[:ALPHABET] if not letter.isspace())


def _untrained(vocabulary: dict[str, int]) -> "Tokenizer":
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106  no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _framed(vocabulary: dict[str, int]) -> "Tokenizer":
    from tokenizers.processors import TemplateProcessing

    tokenizer = _untrained(vocabulary)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, SPECIALS.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


KIND = TokenizerKind(
    name="bert-base-uncased",
    files=("vocab.txt",),
    published_size=30_522,
    smallest_size=len(SPECIALS) + 2 * ALPHABET,
    load=load,
    train=train,
    pad="[PAD]",
    start="[CLS]",
    end="[SEP]",
    unknown="[UNK]",
)
