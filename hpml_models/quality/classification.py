"""Quality of classifiers and language models, over all rows: never averaged by batch.

N rows, K classes.
"""

from dataclasses import dataclass
from math import exp, log
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
IntArray = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A sum over rows and how many there were: batches of any size add up to the same mean."""

    total: float = 0.0
    count: int = 0

    def __add__(self, other: Self) -> Self:
        """Add other rows."""
        return type(self)(total=self.total + other.total, count=self.count + other.count)

    @property
    def mean(self) -> float:
        """The mean over the rows; raises ValueError if there were none."""
        if not self.count:
            raise ValueError("no row was counted: there is no mean")
        return self.total / self.count


def correct(scores_NK: Floats, labels_N: IntArray) -> Tally:
    """Count the rows whose highest score is the label's; its mean is the accuracy."""
    if len(scores_NK) != len(labels_N):
        raise ValueError(f"{len(scores_NK)} rows of scores for {len(labels_N)} labels")
    if not np.isfinite(scores_NK).all():
        raise ValueError("scores hold NaN or infinity: no accuracy")
    return Tally(total=int((scores_NK.argmax(axis=1) == labels_N).sum()), count=len(labels_N))


def auc(scores_N: Floats, labels_N: IntArray) -> float:
    """Return the area under the ROC curve: how often a 1 scores above a 0, ties counting half.

    By ranks (H. Mann and D. Whitney, 1947). Raise ValueError unless both classes occur.
    """
    from scipy.stats import rankdata

    positives = int((labels_N == 1).sum())
    negatives = len(labels_N) - positives
    if not positives or not negatives:
        raise ValueError(f"AUC of {positives} positive and {negatives} negative rows is undefined")
    ranks = rankdata(scores_N)
    wins = ranks[labels_N == 1].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def perplexity(losses: Tally) -> float:
    """Return exp of the mean loss of a word, from summed losses in nats; infinity above e^709."""
    return exp(losses.mean) if losses.mean < log(1.79e308) else float("inf")


def unigram_entropy(words_N: IntArray) -> float:
    """Return the loss in nats of a model that knows how frequent words are and nothing else."""
    counts = np.unique_counts(words_N).counts
    if not len(words_N):
        raise ValueError("no word was counted: there is no entropy")
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
