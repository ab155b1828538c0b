"""The readers: what is whole is read as it is, what is damaged is named with file and place."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpml_models.data import spa_eng, squad, sst2
from hpml_models.data.squad import Answer
from hpml_models.samples.translations import Pair

# Anything but what separates cells and lines; a sentence is not blank.
SENTENCES = st.text(
    st.characters(blacklist_characters="\t\n\r", blacklist_categories=["Cs"]), min_size=1
).filter(str.strip)


@given(rows=st.lists(st.tuples(SENTENCES, st.sampled_from([0, 1])), min_size=1))
def test_any_review_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("sst2") / "train.tsv"
    lines = ["sentence\tlabel", *(f"{text}\t{label}" for text, label in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
    reviews = sst2.read_reviews(path)
    assert list(reviews.texts) == [text.strip() for text, _ in rows]
    assert list(reviews.labels) == [label for _, label in rows]


@given(pairs=st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1), with_source=st.booleans())
def test_any_pair_is_read_with_and_without_attribution(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], *, with_source: bool
) -> None:
    path = tmp_path_factory.mktemp("spa_eng") / "spa.txt"
    end = "\tCC-BY 2.0 (France)\n" if with_source else "\n"
    path.write_text("".join(f"{a}\t{b}{end}" for a, b in pairs), "utf-8", newline="\n")
    assert spa_eng.read_pairs(path) == [Pair(a.strip(), b.strip()) for a, b in pairs]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sentence\tlabel\ngood\t1\nbad\n", r"tsv:3: 1 columns in 'bad'; expected sentence TAB"),
        (b"sentence\tlabel\na\tb\t1\n", r"tsv:2: 3 columns"),
        (b"sentence\tlabel\ngood\t2\n", r"tsv:2: the label is '2'; expected 0 or 1"),
        (b"sentence\tlabel\ngood\t-1\n", r"tsv:2: the label is '-1'"),
        (b"sentence\tlabel\n \t1\n", r"tsv:2: the sentence is empty; remove the line"),
        (b"sentence\tlabel\n\ngood\t1\n", r"tsv:2: 1 columns"),
        (b"sentence\tlabel\n", r"tsv:1: no sentences below the header"),
        (b"", r"tsv:1: the header is \[\]"),
        (b"index\tsentence\n0\tgood\n", r"tsv:1: the header is .*GLUE's test set has no labels"),
        (b"sentence\tlabel\ngood\t1\n\xff\t0\n", r"tsv:3: no UTF-8 .*; save it as UTF-8"),
    ],
)
def test_a_damaged_review_is_named_with_its_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "train.tsv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        sst2.read_reviews(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Go.\tVe.\nHi.\n", r"spa\.txt:2: 1 columns in 'Hi\.'; expected english TAB spanish"),
        ("Go.\t\n", r"spa\.txt:1: no Spanish sentence"),
        (" \tVe.\n", r"spa\.txt:1: no English sentence"),
        ("", r"spa\.txt:1: no pairs"),
    ],
)
def test_a_damaged_pair_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "spa.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        spa_eng.read_pairs(path)


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("klmnop")), min_size=2))
def test_no_sentence_is_in_both_parts_and_no_pair_is_lost(drawn: list[tuple[str, str]]) -> None:
    pairs = [Pair(*one) for one in drawn]
    train, validation = (spa_eng.split_pairs(pairs, split) for split in ("train", "validation"))
    assert not {one.source for one in train} & {one.source for one in validation}
    assert sorted([*train, *validation]) == sorted(pairs)
    assert spa_eng.split_pairs(pairs[::-1], "train") == train[::-1]


def test_each_sentence_keeps_its_first_translation() -> None:
    pairs = [Pair("Go.", "Ve."), Pair("Hi.", "Hola."), Pair("Go.", "Vaya.")]
    assert spa_eng.one_target_each(pairs) == pairs[:2]


DOCUMENT: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "Rivers",
            "paragraphs": [
                {
                    "context": "The Rhine is long. The Rhine is deep.",
                    "qas": [
                        {
                            "question": " What is deep?",
                            "id": "q1",
                            "is_impossible": False,
                            "answers": [{"text": "The Rhine", "answer_start": 19}],
                        },
                        {
                            "question": "What is dry?",
                            "id": "q2",
                            "is_impossible": True,
                            "answers": [],
                            "plausible_answers": [{"text": "deep", "answer_start": 32}],
                        },
                    ],
                }
            ],
        }
    ],
}


def written(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Path:
    """Write the document after a change to it; ``change`` gets its paragraph and question q1."""
    document = copy.deepcopy(DOCUMENT)
    paragraph = document["data"][0]["paragraphs"][0]
    change(paragraph, paragraph["qas"][0])
    path = folder / "train-v2.0.json"
    path.write_text(json.dumps(document))
    return path


def test_a_question_without_an_answer_is_kept(tmp_path: Path) -> None:
    first, second = squad.read_questions(written(tmp_path, lambda *_: None))
    assert (first.id, first.text, first.article) == ("q1", "What is deep?", "Rivers")
    assert (list(first.answers), first.moved) == ([Answer("The Rhine", 19)], 0)
    assert (second.id, list(second.answers)) == ("q2", [])


@pytest.mark.parametrize(("at", "place"), [(5, 0), (18, 19), (300, 19), (-4, 0)])
def test_an_answer_beside_its_place_is_moved_to_the_nearest_and_counted(
    tmp_path: Path, at: int, place: int
) -> None:
    path = written(tmp_path, lambda _, question: question["answers"][0].update(answer_start=at))
    question = squad.read_questions(path)[0]
    assert list(question.answers) == [Answer("The Rhine", place)]
    assert question.moved == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda _, one: one["answers"][0].update(text="The Elbe"),
            r"json:data\[0\]\.paragraphs\[0\]\.qas\[0\] \(id q1\): the answer 'The Elbe' is not in",
        ),
        (lambda _, one: one.update(is_impossible=True), r"id q1\): 1 answers and is_imp.* True"),
        (lambda _, one: one.update(answers=[]), r"id q1\): 0 answers and is_impossible False"),
        (
            lambda _, one: one.pop("is_impossible"),
            r"no is_impossible of type bool; expected the of",
        ),
        (lambda _, one: one.update(id="q2"), r"qas\[1\] \(id q2\): the id is there twice"),
        (lambda _, one: one.update(question=" "), r"question: the question is empty"),
        (
            lambda _, one: one["answers"][0].update(text=""),
            r"answers\[0\]\.text: the text is empty",
        ),
        (
            lambda _, one: one["answers"][0].update(answer_start="19"),
            r"no answer_start of type int",
        ),
        (lambda paragraph, _: paragraph.pop("context"), r"\[0\]\.context: no context of type str"),
        (lambda paragraph, _: paragraph.update(qas=[]), r"json:data: no questions"),
        (lambda paragraph, _: paragraph.update(qas=["?"]), r"qas\[0\]\.id: no id of type str"),
    ],
)
def test_a_damaged_question_is_named_with_its_place(
    tmp_path: Path, change: Callable[..., Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        squad.read_questions(written(tmp_path, change))


def test_half_a_json_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "train-v2.0.json"
    path.write_text('{\n"data": [\n{"title":')
    with pytest.raises(ValueError, match=r"train-v2\.0\.json:3: no JSON .*; download it again"):
        squad.read_questions(path)


def test_a_context_that_was_trained_on_is_not_held_out(tmp_path: Path) -> None:
    trained = squad.read_questions(written(tmp_path, lambda *_: None))
    other = squad.read_questions(
        written(tmp_path, lambda part, _: part.update(context="X. The Rhine"))
    )
    assert squad.held_out([*trained, *other], trained) == other


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (lambda root: sst2.find_split(root, "validation"), r"put sst2/dev\.tsv or SST-2/dev\.tsv"),
        (lambda root: squad.find_split(root, "train"), r"put squad_v2/train-v2\.0\.json or "),
        (spa_eng.find, r"put spa_eng/spa\.txt or spa-eng/spa\.txt into .* \(from https://"),
    ],
)
def test_a_missing_file_is_named_with_where_it_goes(
    tmp_path: Path, find: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(FileNotFoundError, match=message):
        find(tmp_path)


def test_the_real_files_are_whole(data_root: str) -> None:
    root = Path(data_root)
    reviews = sst2.read_reviews(sst2.find_split(root, "validation"))
    assert len(reviews.texts) == 872
    assert sum(reviews.labels) == 444
    train, held = (squad.read_questions(squad.find_split(root, name)) for name in squad.FILES)
    assert sum(not one.answers for one in train) > 0.3 * len(train)
    assert not {one.context for one in squad.held_out(held, train)} & {one.context for one in train}
    assert sum(one.moved for one in [*train, *held]) == 0
    assert len(spa_eng.read_pairs(spa_eng.find(root))) >= 15_000
