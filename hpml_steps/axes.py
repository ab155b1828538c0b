"""Axes: what the cases of a family differ in, each declared once.

A *family* (training, inference, data loading, kernels) is a frozen dataclass whose cases are
measured alike. Each field that is declared by :func:`axis` is an axis. Options, fixtures,
parameters, ids, ``--help`` and the table in the docs are made from the fields: a new axis is one
new field.

What all cases of a run have in common is its *setting*, an object of the suite's own.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self, TypeVar, cast

Chosen = Mapping[str, Any]
"""The values, by name, of the axes that are declared earlier."""

Kind = TypeVar("Kind", bound="Family")

KEY = "axis"  # of a field's metadata
MOST_LISTED = 20  # values that the help names one by one


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing in which the cases of a family differ."""

    name: str  # of the field and of the fixture
    help: str
    known: Callable[[], Collection[Any]] | None  # what an option may name; None: it has no option
    values: Callable[[Any, Chosen], Iterable[Any]]  # (setting, chosen): what makes sense
    default: Callable[[Any], Collection[Any]] | None  # (setting); None: all that makes sense
    quick: Callable[[Any], Collection[Any]] | None  # likewise, with --quick
    is_open: bool  # whether an option's values are taken as they are, whatever ``values`` says
    word: Callable[[Any], str]  # a case's part of its id; empty where it goes without saying

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    def wanted(
        self, setting: Any, given: Collection[Any] | None, *, quick: bool
    ) -> Collection[Any] | None:
        """Return the values that a run wants, None for all that make sense.

        An option that is given comes before ``--quick``, which comes before the default.
        """
        usual = self.quick if quick and self.quick else self.default
        if given is not None:
            return given
        return usual(setting) if usual else None

    def select(self, setting: Any, chosen: Chosen, wanted: Collection[Any] | None) -> list[Any]:
        """Return this axis's values for what is chosen so far."""
        if wanted is not None and self.is_open:
            return [*wanted]
        return [one for one in self.values(setting, chosen) if wanted is None or one in wanted]


class Family(Protocol):
    """What the suite asks of a family's cases; each is a frozen dataclass with axes."""

    family: ClassVar[str]

    @classmethod
    def make(cls, setting: Any, values: Mapping[str, Any]) -> Self:
        """Put a case together from the values of its axes."""

    @property
    def id(self) -> str:
        """The case in words: the key of its baseline."""

    @property
    def axes(self) -> Mapping[str, Any]:
        """The case's fields, for records."""

    @property
    def cpus(self) -> int | None:
        """How many CPUs the case computes on; None for all."""

    def why_not(self, setting: Any) -> str | None:
        """Return why the case cannot run here, as ``status: reason``; None if it can."""


def axis(  # noqa: PLR0913  one keyword for each thing that an axis is asked for
    *,
    help: str,  # noqa: A002  what argparse calls it
    known: Callable[[], Collection[Any]] | None = None,
    values: Callable[[Any, Chosen], Iterable[Any]] | None = None,
    default: Callable[[Any], Collection[Any]] | None = None,
    quick: Callable[[Any], Collection[Any]] | None = None,
    is_open: bool = False,
    word: Callable[[Any], str] | None = None,
) -> Any:
    """Declare a field of a family as an axis.

    Without ``values`` all known ones make sense; without ``word`` the value is its own.
    """
    return field(
        metadata={
            KEY: {
                "help": help,
                "known": known,
                "values": values or (lambda *_: known() if known else ()),
                "default": default,
                "quick": quick,
                "is_open": is_open,
                "word": word,
            }
        }
    )


def axes_of(family: type) -> list[Axis]:
    """Return the axes of a family, in the order in which they are declared and chosen."""
    return [
        Axis(name=one.name, **{**one.metadata[KEY], "word": _word(one)})
        for one in dataclasses.fields(cast("Any", family))
        if KEY in one.metadata
    ]


def _word(declared: "dataclasses.Field[Any]") -> Callable[[Any], str]:
    own: Callable[[Any], str] | None = declared.metadata[KEY]["word"]
    return own or (lambda case: str(getattr(case, declared.name)))


def cases(
    family: type[Kind],
    setting: Any,
    given: Mapping[str, Collection[Any] | None] = MappingProxyType({}),
    *,
    quick: bool = False,
) -> list[Kind]:
    """Return the cases of a family, in a stable order.

    Each axis is chosen with those before it in view. ``given`` has the values of options by the
    names of their axes; a family that lacks one of these axes has no case that was asked for.
    """
    axes = axes_of(family)
    if {name for name, values in given.items() if values is not None} - {one.name for one in axes}:
        return []
    chosen: list[dict[str, Any]] = [{}]
    for one in axes:
        wanted = one.wanted(setting, given.get(one.name), quick=quick)
        chosen = [
            {**earlier, one.name: value}
            for earlier in chosen
            for value in one.select(setting, earlier, wanted)
        ]
    return [family.make(setting, values) for values in chosen]


def known_values(axes: Iterable[Axis]) -> Collection[Any]:
    """Return what an option may name: all that the axes of this name know in their families."""
    known = [one.known() for one in axes if one.known]
    if len(known) == 1:
        return known[0]
    return [*dict.fromkeys(value for values in known for value in values)]


def parse_values(known: Collection[Any], text: str) -> list[Any]:
    """Read an option's value: names or numbers, separated by commas.

    Raises ValueError, which names what there is.
    """
    by_text = {str(value): value for value in known}
    if unknown := [name for name in text.split(",") if name not in by_text]:
        raise ValueError(f"no {unknown[0]!r}: there are {listed(known)}")
    return [by_text[name] for name in text.split(",")]


def joined(words: Iterable[str]) -> str:
    """Join the words of an id; what goes without saying is left out."""
    return "-".join(word for word in words if word)


def listed(values: Collection[Any]) -> str:
    """Name the values that there are, for messages and the help."""
    if isinstance(values, range):
        return f"{values.start} to {values.stop - 1}"
    named = [str(value) for value in values if str(value)]
    more = len(named) - MOST_LISTED
    return ", ".join(named[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
