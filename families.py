"""Wiring from the families of cases to pytest: an option and a fixture for every axis."""

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from hpml_kernels.case import KernelCase
from hpml_kernels.roofline.case import ComparisonCase
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.loading import FeedingCase, LoadingCase
from hpml_models.cases.options import parse_option
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_steps.axes import Axis, Family, axes_of, cases, known_values, listed, parse_values

FAMILIES: Mapping[str, type[Family]] = {
    one.family: one
    for one in (TrainingCase, InferenceCase, LoadingCase, FeedingCase, KernelCase, ComparisonCase)
}
CASES = pytest.StashKey[dict[str, list[Family]]]()


def axes_by_name() -> dict[str, list[Axis]]:
    """Return the axes of all families; those of one name share an option and a fixture."""
    found: dict[str, list[Axis]] = {}
    for family in FAMILIES.values():
        for one in axes_of(family):
            found.setdefault(one.name, []).append(one)
    return found


def add_options(group: pytest.OptionGroup) -> None:
    """Declare one option for each axis that has one, and what stands beside them."""
    for name, axes in axes_by_name().items():
        if all(one.known is None for one in axes):
            continue
        known = known_values(axes)
        group.addoption(
            axes[0].option,
            dest=name,
            metavar="NAMES",
            type=partial(_values, known),
            help=f"{axes[0].help}, separated by commas: {listed(known)}",
        )
    group.addoption(
        "--model-option",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        type=_checked(parse_option),
        help="values of what a model is built with, swept: d_model=64,128; may be given again",
    )
    group.addoption(
        "--quick",
        action="store_true",
        help="what a laptop times in minutes, where no other option says more",
    )


def _values(known: Collection[Any], text: str) -> list[Any]:
    values: list[Any] = _checked(partial(parse_values, known))(text)
    return values


def _checked(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return the parser with its ValueError as argparse shows errors."""

    def checked(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def given(config: pytest.Config) -> dict[str, Collection[Any] | None]:
    """Return the values that options name, by the names of their axes."""
    return {name: config.getoption(name, default=None) for name in axes_by_name()}


def list_cases(config: pytest.Config, setting: Setting) -> None:
    """List the cases of all families that a run's options ask for; raises UsageError."""
    named, quick = given(config), config.getoption("quick")
    try:
        config.stash[CASES] = {
            name: [*cases(kind, setting, named, quick=quick)] for name, kind in FAMILIES.items()
        }
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def is_asked_for(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether an item of the suite has what each given option asks for."""
    if item.get_closest_marker("family"):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return "case" in params and hasattr(params["case"], "axes")  # else no case was asked for
    is_measured = "bench" in getattr(item, "fixturenames", ())
    return not is_measured or all(values is None for values in given(config).values())


def is_left_out(config: pytest.Config, axes: Mapping[str, Any]) -> bool:
    """Whether a case that there is, given by its fields, is not among those of this run."""
    kind = FAMILIES.get(axes.get("family", ""))
    if kind is None or not all(_knows(one, axes) for one in axes_of(kind)):
        return False
    return all(dict(case.axes) != dict(axes) for case in config.stash[CASES][kind.family])


def _knows(one: Axis, axes: Mapping[str, Any]) -> bool:
    return one.known is None or axes.get(one.name) in one.known()


def axis_fixture(name: str, axes: Sequence[Axis]) -> Any:
    """Return the fixture of an axis: what an item's case has there."""

    def value(case: Family) -> Any:
        return getattr(case, name)

    value.__doc__ = f"What this item's case has on the axis: {axes[0].help}."
    return pytest.fixture(name=name)(value)
