"""SQuAD v2.0's exact match and F1, by the definition of its official evaluation script.

P. Rajpurkar et al., arXiv 1806.03822. Figures are per cent. ``best_*`` sweeps a threshold over the
questions' own answers: it starts at "always no answer" and is no evidence of learning.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

OFFICIAL_THRESHOLD = 1.0
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = frozenset(string.punctuation)

Golds = Mapping[str, Sequence[str]]
"""The texts of each question's answers, by its id; none: it has no answer."""

Score = Callable[[str, str], float]


@dataclass(frozen=True, kw_only=True)
class SquadScores:
    """Means over questions in per cent, and over how many; None: there were no such questions."""

    exact: float
    f1: float
    total: int
    has_answer_exact: float | None
    has_answer_f1: float | None
    has_answer_total: int
    no_answer_exact: float | None
    no_answer_f1: float | None
    no_answer_total: int


@dataclass(frozen=True, kw_only=True)
class Best:
    """The highest mean that any threshold reaches, and that threshold."""

    score: float
    threshold: float


def normalise(text: str) -> str:
    """Lower the case; drop punctuation, then articles, then surplus white space."""
    kept = "".join(letter for letter in text.lower() if letter not in PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", kept).split())


def exact(gold: str, prediction: str) -> float:
    """Return 1 if both are the same text when normalised."""
    return float(normalise(gold) == normalise(prediction))


def f1(gold: str, prediction: str) -> float:
    """Return the harmonic mean of precision and recall over the bags of words.

    Where either has no words, 1 if both have none.
    """
    golds, predicted = normalise(gold).split(), normalise(prediction).split()
    if not golds or not predicted:
        return float(golds == predicted)
    shared = (Counter(golds) & Counter(predicted)).total()
    return 2 * shared / (len(golds) + len(predicted))


def raw_scores(golds: Golds, predictions: Mapping[str, str], score: Score) -> dict[str, float]:
    """Score each question against the gold that fits best; raise ValueError without a prediction.

    Golds that normalise to nothing do not count; without any other the answer is "".
    """
    if missing := golds.keys() - predictions.keys():
        raise ValueError(f"{len(missing)} questions have no prediction, such as {min(missing)}")
    return {
        name: max(score(text, predictions[name]) for text in _real(texts))
        for name, texts in golds.items()
    }


def _real(texts: Sequence[str]) -> Sequence[str]:
    return [text for text in texts if normalise(text)] or [""]


def evaluate(
    golds: Golds,
    predictions: Mapping[str, str],
    no_answer: Mapping[str, float] | None = None,
    threshold: float = OFFICIAL_THRESHOLD,
) -> SquadScores:
    """Return exact match and F1 of all questions, of those with an answer, of those without.

    Where ``no_answer`` (a probability, or any score) is above ``threshold`` the prediction counts
    as "".
    """
    if not golds:
        raise ValueError("no questions to evaluate")
    by_metric = [
        _with_threshold(golds, raw_scores(golds, predictions, score), no_answer, threshold)
        for score in (exact, f1)
    ]
    answered = [name for name, texts in golds.items() if texts]
    others = [name for name, texts in golds.items() if not texts]
    means = [[_mean(scores, names) for scores in by_metric] for names in (golds, answered, others)]
    return SquadScores(
        exact=means[0][0] or 0.0,
        f1=means[0][1] or 0.0,
        total=len(golds),
        has_answer_exact=means[1][0],
        has_answer_f1=means[1][1],
        has_answer_total=len(answered),
        no_answer_exact=means[2][0],
        no_answer_f1=means[2][1],
        no_answer_total=len(others),
    )


def _with_threshold(
    golds: Golds,
    scores: Mapping[str, float],
    no_answer: Mapping[str, float] | None,
    threshold: float,
) -> dict[str, float]:
    if no_answer is None:
        return dict(scores)
    return {
        name: float(not golds[name]) if no_answer[name] > threshold else score
        for name, score in scores.items()
    }


def _mean(scores: Mapping[str, float], names: Collection[str]) -> float | None:
    return 100 * sum(scores[name] for name in names) / len(names) if names else None


def best(
    golds: Golds, predictions: Mapping[str, str], no_answer: Mapping[str, float], score: Score
) -> Best | None:
    """Sweep the threshold over the questions' own ``no_answer``, from lowest to highest.

    As the official script does: it begins with "no answer" everywhere, takes questions one by one
    in the sort's order, equal ones too, counts any text against a question without an answer (also
    one that normalises to nothing), and keeps the first threshold of the highest score. None
    where all are equal: then there is nothing to sweep.
    """
    if len({no_answer[name] for name in golds}) <= 1:
        return None
    raw = raw_scores(golds, predictions, score)
    current = found = float(sum(not texts for texts in golds.values()))
    threshold = 0.0
    for name in sorted(golds, key=lambda name: no_answer[name]):
        current += raw[name] if golds[name] else -float(bool(predictions[name]))
        if current > found:
            found, threshold = current, no_answer[name]
    return Best(score=100 * found / len(golds), threshold=threshold)
