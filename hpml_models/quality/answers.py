"""From scores of tokens to the texts of answers, over all windows of a question. T tokens."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpml_models.text.windows import Asked, Windows

LONGEST = 30  # tokens of an answer
THRESHOLD = 0.0


class Prediction(NamedTuple):
    """The text of an answer, "" for none, and by how much no answer scored above the best span."""

    text: str
    no_answer: float


class _Span(NamedTuple):
    score: float
    window: int
    first: int
    last: int


def predict_answers(
    scores_NT2: Iterable[NDArray[np.floating]],
    windows: Windows,
    asked: Sequence[Asked],
    threshold: float = THRESHOLD,
) -> dict[str, Prediction]:
    """Return the prediction for each question's id, given each window's scores ``[T, 2]``.

    The null score is the least over the windows of start and end at token 0; the best span is the
    highest in any window: its end not before its start, at most 30 tokens, within the context.
    """
    nulls = np.full(len(asked), np.inf)
    spans: dict[int, _Span] = {}
    for window, (question, scores) in enumerate(
        zip(windows.question_N.tolist(), scores_NT2, strict=True)
    ):
        nulls[question] = min(nulls[question], float(scores[0].sum()))
        span = _best_span(scores, window, *windows.context_N2[window])
        if span is not None and (question not in spans or span > spans[question]):
            spans[question] = span
    return {
        one.id: _prediction(one, spans.get(number), float(nulls[number]), windows, threshold)
        for number, one in enumerate(asked)
    }


def _best_span(scores_T2: NDArray[np.floating], window: int, first: int, last: int) -> _Span | None:
    """Return the highest-scoring span; equal ones: the earliest. None: the context is empty."""
    if first == last:
        return None
    starts, ends = scores_T2[first:last, 0], scores_T2[first:last, 1]
    sums = starts[:, None] + ends
    lengths = np.arange(last - first) - np.arange(last - first)[:, None]
    sums = np.where((lengths >= 0) & (lengths < LONGEST), sums, -np.inf)
    start, end = divmod(int(sums.argmax()), last - first)
    return _Span(float(sums[start, end]), window, first + start, first + end)


def _prediction(
    asked: Asked, span: _Span | None, null: float, windows: Windows, threshold: float
) -> Prediction:
    if span is None:
        return Prediction("", np.inf)
    no_answer = null - span.score
    if no_answer > threshold:
        return Prediction("", no_answer)
    begin = windows.begins[span.window][span.first]
    end = windows.ends[span.window][span.last]
    return Prediction(asked.context[begin:end], no_answer)
