"""Accuracy, AUC, perplexity: over all rows, whatever the batches."""

from itertools import pairwise
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpml_models.quality.classification import Tally, auc, correct, perplexity, unigram_entropy

LABELLED = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=40)


@given(st.lists(st.integers(0, 104), max_size=4), st.randoms(use_true_random=False))
def test_accuracy_is_that_of_all_rows_however_they_are_cut(cuts: list[int], random: object) -> None:
    generator = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    scores, labels = generator.normal(size=(104, 3)), generator.integers(0, 3, 104)
    bounds = [0, *sorted(cuts), 104]
    tally = Tally()
    for first, last in pairwise(bounds):
        tally += correct(scores[first:last].reshape(-1, 3), labels[first:last])
    assert tally.count == 104
    assert tally.mean == (scores.argmax(axis=1) == labels).mean()


@given(LABELLED)
def test_auc_counts_the_pairs_that_are_in_order(rows: list[tuple[int, int]]) -> None:
    ones = [score for label, score in rows if label]
    zeros = [score for label, score in rows if not label]
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    if not ones or not zeros:
        with pytest.raises(ValueError, match="is undefined"):
            auc(scores, labels)
        return
    wins = sum((one > zero) + 0.5 * (one == zero) for one in ones for zero in zeros)
    assert auc(scores, labels) == pytest.approx(wins / (len(ones) * len(zeros)), abs=1e-12)


def test_perplexity_weighs_words_and_not_sentences() -> None:
    short, long = Tally(total=1 * 5.0, count=1), Tally(total=99 * 1.0, count=99)
    assert perplexity(short + long) == pytest.approx(exp(104 / 100))
    assert perplexity(Tally(total=1e6, count=1)) == inf


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_have_no_accuracy(value: float) -> None:
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        correct(np.array([[0.0, value]]), np.array([1]))


def test_no_rows_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no row was counted"):
        perplexity(Tally())
    with pytest.raises(ValueError, match="2 rows of scores for 1 labels"):
        correct(np.zeros((2, 2)), np.zeros(1, int))


def test_unigram_entropy_is_that_of_the_shares() -> None:
    assert unigram_entropy(np.arange(8)) == pytest.approx(log(8))
    assert unigram_entropy(np.array([1, 1, 1, 2])) == pytest.approx(
        -0.75 * log(0.75) - 0.25 * log(0.25)
    )
    with pytest.raises(ValueError, match="no word was counted"):
        unigram_entropy(np.array([], int))
