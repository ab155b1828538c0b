"""SST-2 (R. Socher et al., 2013) as GLUE distributes it: phrases of film reviews, two classes.

Below a data root: ``sst2/train.tsv`` and ``sst2/dev.tsv``, or GLUE's own folder ``SST-2``; lines
``sentence TAB label`` below a header. GLUE's test set has no labels and is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpml_models.text.files import fault, find_file, table

FILES = {"train": "train.tsv", "validation": "dev.tsv"}
HEADER = ["sentence", "label"]
LABELS = ("0", "1")
SOURCE = "https://gluebenchmark.com/tasks"


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """Sentences and their classes."""

    texts: Sequence[str]
    labels: Sequence[int]


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
