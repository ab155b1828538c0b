"""SST-2 (R. Socher et al., 2013) as GLUE distributes it: phrases of film reviews, two classes.

Below a data root: ``sst2/train.tsv`` and ``sst2/dev.tsv``, or GLUE's own folder ``SST-2``; lines
``sentence TAB label`` below a header. GLUE's test set has no labels and is not used.
"""

from pathlib import Path
from typing import Any

from hpml_models.samples.reviews import ReviewFormat, Reviews, ReviewSamples
from hpml_models.text import byte_bpe, wordpiece, xlm
from hpml_models.text.files import fault, find_file, table
from hpml_models.text.tokenizer import open_tokenizer
from hpml_models.types import DataSpec

FILES = {"train": "train.tsv", "validation": "dev.tsv"}
HEADER = ["sentence", "label"]
LABELS = ("0", "1")
SOURCE = "https://gluebenchmark.com/tasks"


TOKENIZERS = {kind.name: kind for kind in (byte_bpe.KIND, wordpiece.KIND, xlm.KIND)}


def find_split(root: Path, split: str) -> Path:
    """Return the file of "train" or "validation"."""
    return find_file(root, [f"{folder}/{FILES[split]}" for folder in ("sst2", "SST-2")], SOURCE)


def read_reviews(path: Path) -> Reviews:
    """Read one file; raise ValueError with its path and line if anything is wrong with it."""
    rows = table(path, (2,), "sentence TAB label")
    number, header = next(rows, (1, []))
    if header != HEADER:
        problem = f"the header is {header}"
        raise fault(path, number, problem, f"expected {HEADER}; GLUE's test set has no labels")
    texts, labels = [], []
    for number, (sentence, label) in rows:
        texts.append(_checked(path, number, sentence, label))
        labels.append(int(label))
    if not texts:
        raise fault(path, 1, "no sentences below the header", "download it again")
    return Reviews(texts=texts, labels=labels)


def _checked(path: Path, number: int, sentence: str, label: str) -> str:
    if label not in LABELS:
        raise fault(path, number, f"the label is {label!r}", f"expected {' or '.join(LABELS)}")
    text = sentence.strip()
    if not text:
        raise fault(path, number, "the sentence is empty", "remove the line or fill it")
    return text


def open_split(  # noqa: PLR0913  what a model's preset may say of its text
    root: Path,
    split: str,
    *,
    vocabulary: int = 4096,
    length: int = 64,
    tokenizer: str = byte_bpe.KIND.name,
    has_phrases: bool = False,
    is_ahead: bool = True,
    is_padded: bool = True,
    **_: Any,
) -> ReviewSamples:
    """Open "train" or "validation" below ``root``, tokenized as a model of ``vocabulary`` needs."""
    train = read_reviews(find_split(root, "train"))
    reviews = train if split == "train" else read_reviews(find_split(root, split))
    owners: dict[str, int] = {}
    for index, text in enumerate(train.texts):
        owners.setdefault(text, index)
    return ReviewSamples(
        reviews,
        owners,
        open_tokenizer(TOKENIZERS[tokenizer], root, train.texts, vocabulary),
        ReviewFormat(
            length=length, has_phrases=has_phrases, is_ahead=is_ahead, is_padded=is_padded
        ),
    )


SPEC = DataSpec(
    name="sst2",
    licence="none stated; distributed by GLUE for research",
    revision="GLUE, 2018",
    url=SOURCE,
    files="sst2/train.tsv and sst2/dev.tsv",
    size="67,349 + 872 sentences",
    open=open_split,
    readings=("ahead", "on_demand"),
)
