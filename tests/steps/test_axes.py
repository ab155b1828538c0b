"""Axes: declared once as fields; cases, options and ids follow from them."""

from dataclasses import dataclass

import pytest

from hpml_steps.axes import axes_of, axis, combinations, joined, listed, wanted_values

PARTS = {"single": (1,), "pipeline": (2, 4)}


@dataclass(frozen=True, kw_only=True)
class Cake:
    """A family with one dependent, one open and one silent axis."""

    oven: str
    way: str = axis(help="ways", known=lambda: PARTS, quick=("single",))
    parts: int = axis(
        help="parts",
        known=lambda: range(1, 5),
        values=lambda chosen: PARTS[chosen["way"]],
        word=lambda cake: f"p{cake.parts}" if cake.parts > 1 else "",
    )
    size: int = axis(
        help="size",
        known=lambda: range(1, 100),
        values=lambda chosen: (chosen["usual_size"],),
        is_open=True,
        word=lambda cake: f"s{cake.size}",
    )


AXES = axes_of(Cake)
SETTING = {"usual_size": 7}


def combined(*, quick: bool = False, **options: list[object]) -> list[tuple[object, ...]]:
    wanted = wanted_values(AXES, options, quick=quick)
    return [tuple(one.values()) for one in combinations(AXES, SETTING, wanted)]


def test_only_declared_fields_are_axes() -> None:
    assert [one.name for one in AXES] == ["way", "parts", "size"]


def test_an_axis_is_chosen_with_those_before_it_in_view() -> None:
    assert combined() == [("single", 1, 7), ("pipeline", 2, 7), ("pipeline", 4, 7)]


def test_an_option_selects_among_what_makes_sense() -> None:
    assert combined(parts=[4]) == [("pipeline", 4, 7)]
    assert combined(parts=[3]) == []


def test_an_open_axis_takes_the_numbers_of_its_option() -> None:
    assert combined(way=["single"], size=[5, 6]) == [("single", 1, 5), ("single", 1, 6)]


def test_an_option_comes_before_quick_which_comes_before_the_default() -> None:
    assert combined(quick=True) == [("single", 1, 7)]
    assert combined(quick=True, way=["pipeline"]) == [("pipeline", 2, 7), ("pipeline", 4, 7)]


def test_words_make_the_id_and_what_is_usual_goes_without_saying() -> None:
    cakes = [Cake(oven="gas", way="single", parts=1, size=7)]
    cakes.append(Cake(oven="gas", way="pipeline", parts=4, size=9))
    ids = [joined(one.word(cake) for one in AXES) for cake in cakes]
    assert ids == ["single-s7", "pipeline-p4-s9"]


def test_an_unknown_name_is_refused_with_the_list_of_those_there_are() -> None:
    way, parts, _ = AXES
    assert parts.parse("1,4") == [1, 4]
    with pytest.raises(ValueError, match=r"no 'pipe': there are single, pipeline$"):
        way.parse("single,pipe")
    with pytest.raises(ValueError, match="no '9': there are 1 to 4"):
        parts.parse("9")


def test_options_are_named_after_their_axes_and_long_lists_are_cut() -> None:
    assert AXES[0].option == "--way"
    assert listed([f"v{number}" for number in range(25)]).endswith("v19 and 5 more")
