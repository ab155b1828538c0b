"""English and Spanish sentences from Tatoeba, as ManyThings.org (Anki) packs them.

Below a data root: ``spa_eng/spa.txt`` or ``spa-eng/spa.txt``, lines ``english TAB spanish``, with
or without a third column, the attribution. English sentences repeat, so the split is by sentence:
no English sentence is in both.
"""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from hpml_models.samples.translations import Pair, TranslationSamples
from hpml_models.text import words
from hpml_models.text.files import fault, find_file, table
from hpml_models.text.tokenizer import open_tokenizer
from hpml_models.types import DataSpec

SOURCE = "https://www.manythings.org/anki/spa-eng.zip"
SPLIT_SEED = 42
TRAIN_SHARE = 0.7


def find(root: Path) -> Path:
    """Return the file of all pairs."""
    return find_file(root, ["spa_eng/spa.txt", "spa-eng/spa.txt"], SOURCE)


def read_pairs(path: Path) -> Sequence[Pair]:
    """Read one file; raise ValueError with its path and line if anything is wrong with it."""
    pairs = []
    for number, cells in table(path, (2, 3), "english TAB spanish (TAB attribution)"):
        pair = Pair(cells[0].strip(), cells[1].strip())
        if not all(pair):
            missing = "English" if not pair.source else "Spanish"
            raise fault(path, number, f"no {missing} sentence", "remove the line or fill it")
        pairs.append(pair)
    if not pairs:
        raise fault(path, 1, "no pairs", "download it again")
    return pairs


def split_pairs(pairs: Sequence[Pair], split: str) -> Sequence[Pair]:
    """Return the part of "train" (70 % of the English sentences) or "validation" (the others)."""
    sentences = sorted({pair.source for pair in pairs})
    Random(SPLIT_SEED).shuffle(sentences)  # noqa: S311  no secret
    train = set(sentences[: round(TRAIN_SHARE * len(sentences))])
    return [pair for pair in pairs if (pair.source in train) == (split == "train")]


def one_target_each(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Return the first pair of each English sentence: only these can be learned by heart."""
    firsts: dict[str, Pair] = {}
    for pair in pairs:
        firsts.setdefault(pair.source, pair)
    return list(firsts.values())


def open_split(
    root: Path, split: str, *, vocabulary: int = 4096, length: int = 64, **_: Any
) -> TranslationSamples:
    """Open "train" or "validation" below ``root``; one vocabulary serves both languages."""
    pairs = read_pairs(find(root))
    texts = [text for pair in split_pairs(pairs, "train") for text in pair]
    tokenizer = open_tokenizer(words.KIND, root, texts, vocabulary)
    return TranslationSamples(split_pairs(pairs, split), tokenizer, length)


SPEC = DataSpec(
    name="spa_eng",
    licence="CC BY 2.0 FR",
    revision="the archive of the day: it grows",
    url=SOURCE,
    files="spa_eng/spa.txt",
    size="some 140,000 pairs, split 70 : 30 by English sentence",
    open=open_split,
)
