"""Questions on contexts that are longer than a model: windows of fixed length that overlap.

A label is the first and the last token of the answer where a window holds all of it, else (0, 0),
the start token: the answer is not here. N windows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpml_models.text.rows import Ints, Rows, pack

if TYPE_CHECKING:
    from tokenizers import Encoding

    from hpml_models.text.tokenizer import TextTokenizer

CHUNK = 1024  # questions that are encoded at once: what tokenizers returns takes much memory
NOWHERE = (0, 0)


class Asked(NamedTuple):
    """A question on a context; ``answer`` are characters of the context, from and to."""

    id: str
    question: str
    context: str
    answer: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class WindowCounts:
    """What became of the questions, and of the windows of those that have an answer."""

    questions: int
    windows: int
    unanswerable: int
    answer_elsewhere: int  # windows that another window of the same question has the answer to
    answer_in_no_window: int  # questions whose answer is longer than any window


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows as rows of tokens, and what each token is of its context."""

    ids: Rows
    begins: Rows  # first character of each token in the context; 0 outside it
    ends: Rows  # likewise the character after its last
    context_N2: NDArray[np.int64]  # tokens of the context: from and to
    question_N: NDArray[np.int64]  # whose window it is
    answer_N2: NDArray[np.int64]  # first and last token of the answer, or (0, 0)
    has_types: bool  # whether the tokenizer tells question and context apart by token types
    counts: WindowCounts

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.ids)


def make_windows(
    tokenizer: "TextTokenizer", asked: Sequence[Asked], *, length: int, stride: int
) -> Windows:
    """Cut contexts into windows of ``length`` tokens; neighbours share ``stride`` of them.

    Raise ValueError with the question that leaves no room for its context.
    """
    _check_room(tokenizer, asked, length, stride)
    encoded = [
        (number, window)
        for number, windows in enumerate(_encode(tokenizer, asked, length, stride))
        for window in windows
    ]
    windows = [window for _, window in encoded]
    contexts = np.array([_context_of(window) for window in windows])
    questions = np.array([number for number, _ in encoded])
    begins = pack([[begin for begin, _ in one.offsets] for one in windows])
    ends = pack([[end for _, end in one.offsets] for one in windows])
    answers = np.array(
        [
            _label(asked[number].answer, begins[index], ends[index], *contexts[index])
            for index, number in enumerate(questions)
        ]
    )
    return Windows(
        ids=pack([one.ids for one in windows]),
        begins=begins,
        ends=ends,
        context_N2=contexts,
        question_N=questions,
        answer_N2=answers,
        has_types=any(1 in one.type_ids for one in windows),
        counts=_count(asked, questions, answers),
    )


def _check_room(
    tokenizer: "TextTokenizer", asked: Sequence[Asked], length: int, stride: int
) -> None:
    """Raise where tokenizers would panic: it needs ``stride`` below the room for the context."""
    inner = tokenizer.tokenizer
    control = inner.num_special_tokens_to_add(is_pair=True)
    encodings = inner.encode_batch_fast([one.question for one in asked], add_special_tokens=False)
    for one, encoding in zip(asked, encodings, strict=True):
        room = length - control - len(encoding)
        if room <= stride:
            raise ValueError(
                f"question {one.id} of {len(encoding)} tokens leaves {room} of {length} for its "
                f"context, which overlaps by {stride}: give a longer window or a smaller stride"
            )


def _encode(
    tokenizer: "TextTokenizer", asked: Sequence[Asked], length: int, stride: int
) -> "Iterator[list[Encoding]]":
    inner = tokenizer.tokenizer
    inner.enable_truncation(length, stride=stride, strategy="only_second")
    try:
        for begin in range(0, len(asked), CHUNK):
            some = asked[begin : begin + CHUNK]
            for first in inner.encode_batch([(one.question, one.context) for one in some]):
                yield [first, *first.overflowing]
    finally:
        inner.no_truncation()


def _context_of(window: "Encoding") -> tuple[int, int]:
    places = [place for place, part in enumerate(window.sequence_ids) if part == 1]
    return (places[0], places[-1] + 1) if places else NOWHERE


def _label(
    answer: tuple[int, int] | None, begins: Ints, ends: Ints, first: int, last: int
) -> tuple[int, int]:
    """Return the last token that begins by the answer's begin, the first that ends by its end."""
    if answer is None or first == last:
        return NOWHERE
    begin, end = answer
    if begin < begins[first] or end > ends[last - 1]:
        return NOWHERE
    start = first + int(np.searchsorted(begins[first:last], begin, "right")) - 1
    stop = first + int(np.searchsorted(ends[first:last], end, "left"))
    return start, stop


def _count(
    asked: Sequence[Asked], question_N: NDArray[np.int64], answer_N2: NDArray[np.int64]
) -> WindowCounts:
    has_answer = np.array([one.answer is not None for one in asked])
    is_label_N = answer_N2.any(axis=1)
    found = np.zeros(len(asked), bool)
    found[question_N[is_label_N]] = True
    return WindowCounts(
        questions=len(asked),
        windows=len(question_N),
        unanswerable=int((~has_answer).sum()),
        answer_elsewhere=int((found[question_N] & ~is_label_N).sum()),
        answer_in_no_window=int((has_answer & ~found).sum()),
    )
