"""Windows over long contexts: no answer is lost, and each label's tokens are the answer's text."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpml_models.data import squad
from hpml_models.text import byte_bpe, wordpiece
from hpml_models.text.tokenizer import TextTokenizer, TokenizerKind, load_tokenizer, train_tokenizer
from hpml_models.text.windows import Asked, Windows, make_windows

WORDS = ["Rhine", "rivers", "naïve", "1,250", "(deep)", "don't", "über-lang", "a", "Rhineland."]


@pytest.fixture(scope="module", params=[byte_bpe.KIND, wordpiece.KIND], ids=lambda kind: kind.name)
def tokenizer(request: pytest.FixtureRequest) -> TextTokenizer:
    return train_tokenizer(request.param, WORDS * 3, 430)


def label_texts(windows: Windows, asked: Sequence[Asked], number: int) -> list[str]:
    """Return what the labels of a question's windows stand for; "" where there is none."""
    texts = []
    for index in (windows.question_N == number).nonzero()[0]:
        first, last = windows.answer_N2[index]
        assert last < windows.context_N2[index][1], "a label is in the context, or 0"
        begin, end = windows.begins[index][first], windows.ends[index][last]
        texts.append(asked[number].context[begin:end])
    return texts


@settings(max_examples=60)
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60),
    spot=st.tuples(st.integers(0, 59), st.integers(1, 3)),
    stride=st.integers(12, 20),
)
def test_an_answer_is_labelled_in_each_window_that_holds_it(
    tokenizer: TextTokenizer, words: list[str], spot: tuple[int, int], stride: int
) -> None:
    first = min(spot[0], len(words) - 1)
    context = " ".join(words)
    begin = len(" ".join(words[:first])) + (first > 0)
    answer = " ".join(words[first : first + spot[1]])
    asked = [
        Asked("q", "Which river?", context, (begin, begin + len(answer))),
        Asked("r", "Which lake?", context, None),
    ]
    windows = make_windows(tokenizer, asked, length=60, stride=stride)
    texts = label_texts(windows, asked, 0)
    labelled = [text for text in texts if text]
    assert {text.strip() for text in labelled} <= {answer}
    assert windows.counts.answer_in_no_window == (not labelled)
    assert windows.counts.answer_elsewhere == (len(texts) - len(labelled) if labelled else 0)
    assert set(label_texts(windows, asked, 1)) == {""}
    assert (windows.counts.questions, windows.counts.unanswerable) == (2, 1)
    room = 60 - tokenizer.tokenizer.num_special_tokens_to_add(is_pair=True)
    if len(tokenizer.tokenizer.encode(answer).ids) - 2 <= stride - 2 < room:
        assert labelled, "an answer no longer than the overlap is whole in some window"


@settings(max_examples=30)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
def test_windows_overlap_and_cover_the_whole_context(
    tokenizer: TextTokenizer, words: list[str]
) -> None:
    asked = [Asked("q", "Which?", " ".join(words), None)]
    windows = make_windows(tokenizer, asked, length=40, stride=9)
    whole = tokenizer.tokenizer.encode(asked[0].context, add_special_tokens=False)
    parts = [
        windows.ids[index][first:last].tolist()
        for index, (first, last) in enumerate(windows.context_N2)
    ]
    joined = parts[0] + [token for part in parts[1:] for token in part[9:]]
    assert joined == whole.ids
    assert all(before[-9:] == after[:9] for before, after in pairwise(parts))
    assert windows.ids.sizes.max() <= 40


def test_an_answer_longer_than_a_window_is_counted(tokenizer: TextTokenizer) -> None:
    context = "Rhine " * 60
    windows = make_windows(
        tokenizer, [Asked("q", "Which?", context, (0, len(context) - 1))], length=40, stride=8
    )
    assert windows.counts.answer_in_no_window == 1
    assert not windows.answer_N2.any()


@pytest.mark.parametrize(("length", "stride"), [(20, 19), (8, 0), (40, 35)])
def test_a_question_without_room_for_its_context_is_named(
    tokenizer: TextTokenizer, length: int, stride: int
) -> None:
    asked = [Asked("q17", "Which naïve rivers don't?", "Rhine " * 30, None)]
    with pytest.raises(ValueError, match=rf"question q17 of \d+ tokens leaves -?\d+ of {length}"):
        make_windows(tokenizer, asked, length=length, stride=stride)


def test_a_context_without_tokens_has_no_label(tokenizer: TextTokenizer) -> None:
    asked = [Asked("q", "Which?", "", (0, 1))]
    windows = make_windows(tokenizer, asked, length=40, stride=8)
    assert windows.answer_N2.tolist() == [[0, 0]]
    assert windows.context_N2.tolist() == [[0, 0]]


@pytest.mark.parametrize("kind", [byte_bpe.KIND, wordpiece.KIND], ids=lambda kind: kind.name)
def test_no_answer_of_the_real_questions_is_lost(data_root: str, kind: TokenizerKind) -> None:
    questions = squad.read_questions(squad.find_split(Path(data_root), "train"))
    published = load_tokenizer(kind, Path(data_root) / "tokenizers" / kind.name)
    asked = squad.to_asked(questions)
    windows = make_windows(published, asked, length=160, stride=64)
    assert windows.counts.answer_in_no_window == 0
    assert windows.counts.unanswerable == sum(not one.answers for one in questions)
    for number, one in enumerate(questions):
        for text in filter(None, label_texts(windows, asked, number)):
            assert one.answers[0].text in text
            assert len(text) <= len(one.answers[0].text) + 3, "a mark that clings to the word"


def test_half_an_answer_at_a_windows_edge_is_no_answer(tokenizer: TextTokenizer) -> None:
    context = "Rhine a " * 40
    asked = [
        Asked(str(begin), "Which?", context, (begin, begin + len("Rhine a Rhine")))
        for begin in range(0, 8 * 38, 8)
    ]
    windows = make_windows(tokenizer, asked, length=40, stride=12)
    for number in range(len(asked)):
        texts = label_texts(windows, asked, number)
        assert {text.strip() for text in texts} == {"Rhine a Rhine", ""}
