"""Small data sets in the real ones' formats, which a tiny model can learn from."""

import json
from pathlib import Path
from random import Random
from typing import Any

GOOD = ["brilliant", "moving", "superb", "charming"]
BAD = ["dull", "clumsy", "tedious", "hollow"]
FILLER = ["the", "film", "is", "a", "story", "of", "two", "rivers", "and", "its", "cast", "plays"]


def write_reviews(root: Path, train: int = 60, validation: int = 20, seed: int = 0) -> Path:
    """Write SST-2 files: one word of each sentence decides its class."""
    random = Random(seed)  # noqa: S311
    for name, count in (("train", train), ("dev", validation)):
        lines = ["sentence\tlabel"]
        for _ in range(count):
            label = random.randrange(2)
            words = random.choices(FILLER, k=random.randint(1, 12))
            words[random.randrange(len(words))] = random.choice((BAD, GOOD)[label])
            lines.append(f"{' '.join(words)} \t{label}")
        path = root / "sst2" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return root


def write_questions(root: Path, train: int = 40, validation: int = 12, seed: int = 0) -> Path:
    """Write SQuAD files: the answer is the two words after a marker; some contexts have none."""
    random = Random(seed)  # noqa: S311
    folder = root / "squad_v2"
    folder.mkdir(exist_ok=True)
    for name, count in (("train", train), ("dev", validation)):
        paragraphs = [_paragraph(random, f"{name}{number}") for number in range(count)]
        document = {"version": "v2.0", "data": [{"title": name, "paragraphs": paragraphs}]}
        (folder / f"{name}-v2.0.json").write_text(json.dumps(document))
    return root


def _paragraph(random: Random, name: str) -> dict[str, Any]:
    words = random.choices(FILLER, k=random.randint(8, 60))
    is_impossible = random.random() < 0.4
    answers = []
    if not is_impossible:
        place = random.randrange(len(words) - 3)
        words[place] = "marker"
        answer = " ".join(words[place + 1 : place + 3])
        begin = len(" ".join(words[: place + 1])) + 1
        answers = [{"text": answer, "answer_start": begin}]
    question = {
        "id": name,
        "question": "What follows the marker?",
        "is_impossible": is_impossible,
        "answers": answers,
    }
    return {"context": " ".join(words), "qas": [question]}


def write_pairs(root: Path, count: int = 60, seed: int = 0) -> Path:
    """Write spa-eng: each word has one translation, some sentences have two."""
    random = Random(seed)  # noqa: S311
    lines = []
    for number in range(count):
        words = random.choices(FILLER, k=random.randint(1, 6))
        target = " ".join(word[::-1] for word in words)
        lines.append(f"{' '.join(words)}.\t{target}.\tCC-BY 2.0 (France) #{number}")
        if number % 5 == 0:
            lines.append(f"{' '.join(words)}.\t{target}!\tCC-BY 2.0 (France) #{number}")
    (root / "spa_eng").mkdir(exist_ok=True)
    (root / "spa_eng" / "spa.txt").write_text("\n".join(lines) + "\n")
    return root
