"""SQuAD v2.0 (P. Rajpurkar et al., arXiv 1806.03822): questions on paragraphs of Wikipedia.

Below a data root: ``squad_v2/train-v2.0.json`` and ``squad_v2/dev-v2.0.json``. Questions without
an answer in their paragraph are kept: about half of them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hpml_models.samples.question_windows import QuestionSamples, QuestionSet
from hpml_models.text import wordpiece
from hpml_models.text.files import fault, find_file, read_text
from hpml_models.text.tokenizer import open_tokenizer
from hpml_models.text.windows import Asked
from hpml_models.types import DataSpec

FILES = {"train": "train-v2.0.json", "validation": "dev-v2.0.json"}
SOURCE = "https://rajpurkar.github.io/SQuAD-explorer"
REMEDY = "expected the official SQuAD v2.0 JSON"


class Answer(NamedTuple):
    """A text and where it begins in the context, in characters."""

    text: str
    begin: int


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question on a context; without answers it cannot be answered from there."""

    id: str
    article: str
    context: str
    text: str
    answers: Sequence[Answer]
    moved: int = 0  # answers that were found at another place than the file says


def find_split(root: Path, split: str) -> Path:
    """Return the file of "train" or "validation"."""
    return find_file(root, [f"squad_v2/{FILES[split]}", FILES[split]], SOURCE)


def read_questions(path: Path) -> Sequence[Question]:
    """Read one file; raise ValueError with its path and the place of what is wrong with it."""
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise fault(path, error.lineno, f"no JSON ({error.msg})", "download it again") from None
    questions = list(_Reader(path).questions(document))
    if not questions:
        raise fault(path, "data", "no questions", "download it again")
    return questions


class _Reader:
    """Walks through a document; its place in it goes into each error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: set[str] = set()

    def questions(self, document: Any) -> Iterator[Question]:
        for article, place in self._items(document, "data", ""):
            title = self._get(article, "title", str, place)
            for paragraph, place_ in self._items(article, "paragraphs", place):
                context = self._get(paragraph, "context", str, place_)
                for one, at in self._items(paragraph, "qas", place_):
                    yield self._question(one, at, title, context)

    def _question(self, one: Any, place: str, article: str, context: str) -> Question:
        name = self._get(one, "id", str, place)
        place = f"{place} (id {name})"
        if name in self._ids:
            raise self._fault(place, "the id is there twice")
        self._ids.add(name)
        impossible = self._get(one, "is_impossible", bool, place)
        answers = [self._answer(answer, at) for answer, at in self._items(one, "answers", place)]
        if impossible == bool(answers):
            raise self._fault(place, f"{len(answers)} answers and is_impossible {impossible}")
        placed = [self._placed(answer, context, place) for answer in answers]
        return Question(
            id=name,
            article=article,
            context=context,
            text=self._get(one, "question", str, place).strip(),
            answers=placed,
            moved=sum(old != new for old, new in zip(answers, placed, strict=True)),
        )

    def _answer(self, answer: Any, place: str) -> Answer:
        return Answer(
            self._get(answer, "text", str, place), self._get(answer, "answer_start", int, place)
        )

    def _placed(self, answer: Answer, context: str, place: str) -> Answer:
        """Return the answer where its text stands in the context, nearest to where it should."""
        if context.startswith(answer.text, max(0, answer.begin)) and answer.begin >= 0:
            return answer
        places = [at for at in range(len(context)) if context.startswith(answer.text, at)]
        if not places:
            raise self._fault(place, f"the answer {answer.text!r} is not in its context")
        return answer._replace(begin=min(places, key=lambda at: abs(at - answer.begin)))

    def _items(self, parent: Any, key: str, place: str) -> Iterable[tuple[Any, str]]:
        items = self._get(parent, key, list, place)
        return [(item, f"{place}.{key}[{i}]".lstrip(".")) for i, item in enumerate(items)]

    def _get(self, parent: Any, key: str, kind: type, place: str) -> Any:
        value = parent.get(key) if isinstance(parent, dict) else None
        if type(value) is not kind:
            raise self._fault(f"{place}.{key}".lstrip("."), f"no {key} of type {kind.__name__}")
        if isinstance(value, str) and not value.strip():
            raise self._fault(f"{place}.{key}", f"the {key} is empty")
        return value

    def _fault(self, place: str, problem: str) -> ValueError:
        return fault(self._path, place, problem, REMEDY)


def held_out(questions: Sequence[Question], train: Sequence[Question]) -> Sequence[Question]:
    """Return the questions whose context is not among those that were trained on."""
    seen = {question.context for question in train}
    return [question for question in questions if question.context not in seen]


def to_asked(questions: Sequence[Question]) -> Sequence[Asked]:
    """Return the questions as windows are made of them; the first answer is the one to learn."""
    return [
        Asked(
            one.id,
            one.text,
            one.context,
            (one.answers[0].begin, one.answers[0].begin + len(one.answers[0].text))
            if one.answers
            else None,
        )
        for one in questions
    ]


def golds(questions: Sequence[Question]) -> Mapping[str, Sequence[str]]:
    """Return the texts of each question's answers by its id."""
    return {one.id: [answer.text for answer in one.answers] for one in questions}


def open_split(
    root: Path,
    split: str,
    *,
    vocabulary: int = 4096,
    length: int = 384,
    stride: int | None = None,
    **_: Any,
) -> QuestionSamples:
    """Open "train" or "validation" below ``root`` as windows of ``length`` tokens.

    They overlap by a third, unless ``stride`` says by how many tokens. Questions whose context
    was trained on are left out of validation, and counted.
    """
    train = read_questions(find_split(root, "train"))
    there = train if split == "train" else read_questions(find_split(root, split))
    kept = train if split == "train" else held_out(there, train)
    if not kept:
        raise ValueError(f"every context of {find_split(root, split)} is in train: nothing is left")
    texts = [*dict.fromkeys(one.context for one in train), *(one.text for one in train)]
    facts = {
        "trained_on": len(there) - len(kept),
        "answers_moved": sum(one.moved for one in kept),
    }
    return QuestionSamples(
        QuestionSet(asked=to_asked(kept), golds=golds(kept), facts=facts),
        open_tokenizer(wordpiece.KIND, root, texts, vocabulary),
        length=length,
        stride=length // 3 if stride is None else stride,
    )


SPEC = DataSpec(
    name="squad",
    licence="CC BY-SA 4.0",
    revision="v2.0",
    url=SOURCE,
    files="squad_v2/train-v2.0.json and squad_v2/dev-v2.0.json",
    size="130,319 + 11,873 questions",
    open=open_split,
)
