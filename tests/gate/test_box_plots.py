"""The pictures: whole, small, and showing what was measured."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from hpml_gate.judge.verdict import against_sessions
from hpml_gate.measure.samples import launch_medians
from hpml_gate.output.box_plots import Scale, draw_comparison

SVG = "{http://www.w3.org/2000/svg}"


def picture(folder: Path, now: list[list[float]], then: list[list[float]]) -> Path:
    medians = launch_medians(now), [launch_medians(then)]
    verdict = against_sessions("case <&> [one]", *medians, margin=0.1)
    return draw_comparison(verdict, now, then, folder)


def test_a_picture_has_a_box_per_launch_where_its_times_are(tmp_path: Path) -> None:
    now, then = [[130.0, 131.0, 132.0]] * 2, [[100.0, 101.0, 102.0], [99.0, 100.0, 104.0]]
    root = ET.parse(picture(tmp_path, now, then)).getroot()
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "case <&> [one]" in texts
    assert any(text is not None and text.startswith("slower: 1.30") for text in texts)
    assert {"now: 2 launches", "baseline: 2 launches", "baseline", "baseline + 10%"} < {*texts}
    heights = [float(group[1].attrib["y"]) for group in root.iter(f"{SVG}g")]
    assert heights[0] > heights[2]  # a longer time stands higher: a smaller y


def test_a_hundred_pictures_and_their_results_stay_under_a_megabyte(tmp_path: Path) -> None:
    launches = [[float(ns) for ns in np.linspace(1e6, 2e6, 12)] for _ in range(4)]
    assert picture(tmp_path, launches, launches).stat().st_size < 5_000


@pytest.mark.parametrize(
    ("ns", "text"), [(12.3, "12.3 ns"), (4.56e4, "45.6 us"), (7.8e7, "78 ms"), (9e9, "9 s")]
)
def test_times_are_written_in_the_unit_that_suits_them(ns: float, text: str) -> None:
    assert Scale(lowest_ns=0.0, highest_ns=ns).text(ns) == text


def test_times_that_are_all_the_same_can_be_drawn(tmp_path: Path) -> None:
    ET.parse(picture(tmp_path, [[5.0] * 3] * 2, [[5.0] * 3] * 2))
