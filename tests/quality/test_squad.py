"""SQuAD's metric by its official definition, and answers from scores of tokens."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpml_models.quality.answers import LONGEST, predict_answers
from hpml_models.quality.squad import best, evaluate, exact, f1, normalise, raw_scores
from hpml_models.text import byte_bpe
from hpml_models.text.tokenizer import train_tokenizer
from hpml_models.text.windows import Asked, Windows, make_windows

TEXTS = ["", "the", "Rhine", "the Rhine", "a deep Rhine", "deep river Rhine"]
# "the" counts as a text where thresholds are swept, and as no answer where they are applied.
PREDICTIONS = [text for text in TEXTS if text != "the"]
NAMES = list("abcdefgh")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Rhine.", "rhine"),
        ("An (a) apple\tand\nthe pear", "apple and pear"),
        ("U.S.A.", "usa"),
        ("theatre", "theatre"),
        ("a.b", "ab"),
        ("'the'", ""),
        ("1,250 \u2013 é", "1250 \u2013 é"),
    ],
)
def test_texts_are_normalised_as_officially(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("gold", "prediction", "expected"),
    [
        ("the Rhine", "Rhine!", (1, 1)),
        ("deep Rhine", "Rhine", (0, 2 / 3)),
        ("so so deep", "so so", (0, 4 / 5)),  # bags, not sets
        ("Elbe", "Rhine", (0, 0)),
        ("", "", (1, 1)),
        ("the", "", (1, 1)),
        ("", "Rhine", (0, 0)),
        ("Rhine", "", (0, 0)),
    ],
)
def test_exact_match_and_f1_of_two_texts(
    gold: str, prediction: str, expected: tuple[float, float]
) -> None:
    assert (exact(gold, prediction), f1(gold, prediction)) == pytest.approx(expected)


def test_the_gold_that_fits_best_counts_and_empty_ones_do_not() -> None:
    golds = {"q": ["Elbe", "deep Rhine", "the"], "r": ["the", "."], "s": []}
    scores = raw_scores(golds, {"q": "Rhine", "r": "", "s": "x"}, f1)
    assert scores == pytest.approx({"q": 2 / 3, "r": 1, "s": 0})


def test_a_question_without_an_answer_counts_in_the_total() -> None:
    golds = {"q": ["Rhine"], "r": ["Elbe"], "s": [], "t": []}
    scores = evaluate(golds, {"q": "Rhine", "r": "deep Elbe", "s": "", "t": "no"})
    assert (scores.exact, scores.f1) == pytest.approx((50, 100 * (1 + 2 / 3 + 1) / 4))
    assert (scores.has_answer_exact, scores.no_answer_exact) == (50, 50)
    assert (scores.total, scores.has_answer_total, scores.no_answer_total) == (4, 2, 2)


def test_always_no_answer_scores_the_share_of_questions_without_one() -> None:
    golds = {"q": ["Rhine"], "s": [], "t": []}
    scores = evaluate(golds, dict.fromkeys(golds, ""))
    assert scores.exact == pytest.approx(200 / 3)
    assert scores.has_answer_f1 == 0
    assert evaluate({"s": []}, {"s": ""}).has_answer_f1 is None


def test_above_the_threshold_no_answer_counts() -> None:
    golds = {"q": ["Rhine"], "s": []}
    sure = {"q": 0.9, "s": 0.9}
    assert evaluate(golds, {"q": "Rhine", "s": "x"}, sure).exact == 50  # official default: 1.0
    assert evaluate(golds, {"q": "Rhine", "s": "x"}, sure, 0.9).exact == 50
    assert evaluate(golds, {"q": "Rhine", "s": "x"}, {"q": 0.1, "s": 0.9}, 0.5).exact == 100


def test_a_missing_prediction_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 questions have no prediction, such as q"):
        evaluate({"q": ["Rhine"]}, {})
    with pytest.raises(ValueError, match="no questions"):
        evaluate({}, {})


@given(st.data())
def test_the_sweep_finds_the_best_of_all_thresholds(data: st.DataObject) -> None:
    names = NAMES[: data.draw(st.integers(2, 8))]
    golds = {name: data.draw(st.lists(st.sampled_from(TEXTS[2:]), max_size=2)) for name in names}
    predictions = {name: data.draw(st.sampled_from(PREDICTIONS)) for name in names}
    order = data.draw(st.permutations(range(len(names))))
    no_answer = dict(zip(names, map(float, order), strict=True))
    found = best(golds, predictions, no_answer, f1)
    assert found is not None
    by_hand = [
        evaluate(golds, predictions, no_answer, threshold).f1
        for threshold in [-1.0, *no_answer.values()]
    ]
    assert found.score == pytest.approx(max(by_hand))
    assert found.score >= 100 * sum(not texts for texts in golds.values()) / len(golds)


def test_equal_scores_are_not_swept() -> None:
    golds = {"q": ["Rhine"], "s": []}
    assert best(golds, {"q": "Rhine", "s": ""}, {"q": 0.0, "s": 0.0}, exact) is None


def windows_of(asked: list[Asked]) -> Windows:
    return make_windows(train_tokenizer(byte_bpe.KIND, [], 261), asked, length=48, stride=10)


@settings(max_examples=40)
@given(st.data())
def test_the_best_span_of_any_window_is_the_answer(data: st.DataObject) -> None:
    asked = [Asked("q", "Who?", "x y" * data.draw(st.integers(1, 30)), None)]
    windows = windows_of(asked)
    seed = data.draw(st.integers(0, 2**32 - 1))
    scores = np.random.default_rng(seed).normal(size=(len(windows), 48, 2))
    null = min(one[0, 0] + one[0, 1] for one in scores)
    spans = {
        (window, start, end): scores[window, start, 0] + scores[window, end, 1]
        for window in range(len(windows))
        for start in range(*windows.context_N2[window])
        for end in range(start, min(start + LONGEST, windows.context_N2[window][1]))
    }
    window, start, end = max(spans, key=lambda span: spans[span])
    no_answer = null - spans[window, start, end]
    assume(abs(no_answer) > 1e-9)
    text = asked[0].context[windows.begins[window][start] : windows.ends[window][end]]
    prediction = predict_answers(scores, windows, asked)["q"]
    assert prediction.no_answer == pytest.approx(no_answer)
    assert prediction.text == ("" if no_answer > 0 else text)
    assert predict_answers(scores, windows, asked, threshold=np.inf)["q"].text == text


@pytest.mark.parametrize(
    ("place", "tokens"),
    [("the start token", (0, 0)), ("the question", (1, 2)), ("past the context", (-1, -1))],
)
def test_no_span_outside_the_context_is_an_answer(place: str, tokens: tuple[int, int]) -> None:
    windows = windows_of(asked := [Asked("q", "Who?", "deep Rhine", None)])
    scores = np.zeros((1, 48, 2))
    scores[0, tokens[0], 0] = scores[0, tokens[1], 1] = 9.0
    prediction = predict_answers(scores, windows, asked, threshold=np.inf)["q"]
    assert prediction.text == "d", place
