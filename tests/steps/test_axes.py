"""Axes: declared once as fields; cases, options and ids follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pytest

from hpml_steps.axes import (
    axes_of,
    axis,
    cases,
    joined,
    known_values,
    listed,
    parse_values,
)

PARTS = {"single": (1,), "pipeline": (2, 4)}
USUAL_SIZE = 7  # this suite's setting


@dataclass(frozen=True, kw_only=True)
class Step:
    """A family with one dependent, one open and one silent axis."""

    strategy: str = axis(help="", known=lambda: PARTS, quick=lambda _: ("single",))
    parts: int = axis(
        help="",
        known=lambda: range(1, 5),
        values=lambda _, chosen: PARTS[chosen["strategy"]],
        word=lambda step: f"p{step.parts}" if step.parts > 1 else "",
    )
    size: int = axis(
        help="",
        known=lambda: range(1, 100),
        values=lambda setting, _: (setting,),
        is_open=True,
        word=lambda step: f"s{step.size}",
    )
    comment: str = ""
    family: ClassVar[str] = "step"

    @classmethod
    def make(cls, _: int, values: Mapping[str, Any]) -> Self:
        return cls(**values)

    @property
    def id(self) -> str:
        return joined(one.word(self) for one in axes_of(Step))

    @property
    def axes(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in axes_of(Step)}

    cpus: int | None = 1

    def why_not(self, _: int) -> str | None:
        return None


def combined(*, quick: bool = False, **given: list[object]) -> list[tuple[object, ...]]:
    return [tuple(one.axes.values()) for one in cases(Step, USUAL_SIZE, given, quick=quick)]


def test_only_declared_fields_are_axes() -> None:
    assert [one.name for one in axes_of(Step)] == ["strategy", "parts", "size"]


def test_an_axis_is_chosen_with_those_before_it_in_view() -> None:
    assert combined() == [("single", 1, 7), ("pipeline", 2, 7), ("pipeline", 4, 7)]


def test_an_option_selects_among_what_makes_sense() -> None:
    assert combined(parts=[4]) == [("pipeline", 4, 7)]
    assert combined(parts=[3]) == []


def test_an_open_axis_takes_the_numbers_of_its_option() -> None:
    assert combined(strategy=["single"], size=[5, 6]) == [("single", 1, 5), ("single", 1, 6)]


def test_an_option_comes_before_quick_which_comes_before_the_default() -> None:
    assert combined(quick=True) == [("single", 1, 7)]
    assert combined(quick=True, strategy=["pipeline"], parts=[2]) == [("pipeline", 2, 7)]


def test_a_family_without_an_axis_that_is_asked_for_has_no_case() -> None:
    assert combined(runtime=["eager"]) == []


def test_words_make_the_id_and_what_is_usual_goes_without_saying() -> None:
    steps = [Step(strategy="single", parts=1, size=7), Step(strategy="pipeline", parts=4, size=9)]
    assert [step.id for step in steps] == ["single-s7", "pipeline-p4-s9"]


def test_an_unknown_name_is_refused_with_the_list_of_those_there_are() -> None:
    strategy, parts, _ = axes_of(Step)
    assert parse_values(known_values([parts]), "1,4") == [1, 4]
    with pytest.raises(ValueError, match=r"no 'pipe': there are single, pipeline$"):
        parse_values(known_values([strategy]), "single,pipe")
    with pytest.raises(ValueError, match="no '9': there are 1 to 4"):
        parse_values(known_values([parts]), "9")


def test_families_that_share_an_axis_share_its_option() -> None:
    strategy, parts, _ = axes_of(Step)
    assert known_values([strategy, strategy, parts]) == ["single", "pipeline", 1, 2, 3, 4]


def test_options_are_named_after_their_axes_and_long_lists_are_cut() -> None:
    assert axes_of(Step)[0].option == "--strategy"
    assert listed([f"v{number}" for number in range(25)]).endswith("v19 and 5 more")
