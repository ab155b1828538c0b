"""The pictures: whole, small, and showing what was measured."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import Launches, case, measurement, verdict

from hpml_gate.output.box_plots import draw_case, file_name, is_outlying
from hpml_gate.output.recorder import quantiles
from hpml_gate.words import round_ticks, time_in_words

SVG = "{http://www.w3.org/2000/svg}"
NOW: Launches = [[130.0, 131.0, 132.0]] * 2
THEN: Launches = [[100.0, 101.0, 102.0], [99.0, 100.0, 104.0]]


def texts(picture: Path) -> list[str]:
    return [text.text or "" for text in ET.parse(picture).getroot().iter(f"{SVG}text")]


def draw(folder: Path, case_id: str, now: Launches, then: Launches | None) -> Path:
    judged = verdict("slower", 1.3) if then else verdict("new", None)
    return draw_case(case(case_id, judged, measurement=measurement(now, then)), folder)


def test_a_picture_has_a_box_per_launch_where_its_times_are(tmp_path: Path) -> None:
    picture = draw(tmp_path, "case <&> [one]", NOW, THEN)
    found = texts(picture)
    assert "case <&> [one]" in found
    assert any(text.startswith("slower: 1.30") for text in found)
    assert {"now: 2 launches", "baseline: 2 launches", "baseline", "baseline + 10%"} < {*found}
    assert {"time per step, ns", "launch (a fresh process)"} < {*found}
    heights = [float(group[1].attrib["y"]) for group in ET.parse(picture).getroot().iter(f"{SVG}g")]
    assert heights[0] > heights[2]  # a longer time stands higher: a smaller y


def test_a_first_run_is_drawn_alone(tmp_path: Path) -> None:
    found = texts(draw(tmp_path, "first", NOW, None))
    assert "new: no baseline to compare with" in found
    assert "now: 2 launches" in found
    assert not any("baseline:" in text for text in found)


def test_launches_are_numbered_and_an_outlying_one_is_marked(tmp_path: Path) -> None:
    now = [[100.0 + number] for number in range(30)]
    now[20] = [200.0]
    found = texts(draw(tmp_path, "many", now, None))
    assert "11" in found
    assert "10" not in found  # only the newest 20 have room
    assert "▲21" in found
    assert sum(text.startswith("▲") for text in found) == 1
    assert "now: 20 launches; outlying: bold" in found


def test_few_or_agreeing_launches_have_no_outlier() -> None:
    assert is_outlying(quantiles([[1.0], [1.0], [9.0]])) == [False] * 3
    assert is_outlying(quantiles([[1.0], [1.0], [1.0], [1.001]])) == [False] * 4
    assert is_outlying(quantiles([[1.0], [1.0], [1.0], [1.1]])) == [False, False, False, True]


def test_a_hundred_pictures_and_their_results_stay_under_a_megabyte(tmp_path: Path) -> None:
    launches = [[float(ns) for ns in np.linspace(1e6, 2e6, 12)] for _ in range(4)]
    assert draw(tmp_path, "a case", launches, launches).stat().st_size < 5_000


@given(st.lists(st.text(max_size=400), min_size=2, max_size=4, unique=True))
def test_any_id_has_a_file_of_its_own(ids: list[str]) -> None:
    names = {file_name(one) for one in ids}
    assert len(names) == len(ids)
    assert all(len(name) < 100 and name.isascii() and "/" not in name for name in names)


@pytest.mark.parametrize("case_id", ["", "../../x", "x" * 3000, "\x00\x1b[31m", "日本 </text>&"])
def test_any_id_can_be_drawn(tmp_path: Path, case_id: str) -> None:
    picture = draw(tmp_path, case_id, NOW, THEN)
    assert picture.parent == tmp_path
    assert len(texts(picture)[0]) <= 110


@pytest.mark.parametrize(
    ("ns", "text"), [(12.3, "12.3 ns"), (4.56e4, "45.6 us"), (7.8e7, "78 ms"), (9e9, "9 s")]
)
def test_times_are_written_in_the_unit_that_suits_them(ns: float, text: str) -> None:
    assert time_in_words(ns) == text


@given(st.floats(1e-3, 1e9), st.floats(1e-3, 10))
def test_ticks_are_round_and_in_range(lowest: float, share: float) -> None:
    highest = lowest * (1 + share)
    ticks = round_ticks(lowest, highest)
    assert 2 <= len(ticks) <= 7
    assert all(lowest <= tick * (1 + 1e-12) and tick <= highest * (1 + 1e-12) for tick in ticks)
    assert f"{ticks[1] - ticks[0]:e}"[0] in "125"


def test_times_that_are_all_the_same_can_be_drawn(tmp_path: Path) -> None:
    texts(draw(tmp_path, "same", [[5.0] * 3] * 2, [[5.0] * 3] * 2))
