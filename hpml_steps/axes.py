"""Axes: what the cases of a family differ in, each declared once.

A *family* (training, inference, data loading, kernels) is a frozen dataclass whose cases are
measured alike. Each field that is declared by :func:`axis` is an axis. Options, fixtures,
parameters, ids, ``--help`` and the table in the docs are made from the fields: a new axis is one
new field.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

Chosen = Mapping[str, Any]
"""Values by name: what a run's cases have in common, and the axes that are declared earlier."""

KEY = "axis"  # of a field's metadata
MOST_LISTED = 20  # values that the help names one by one


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing in which the cases of a family differ."""

    name: str  # of the field and of the fixture
    help: str
    known: Callable[[], Collection[Any]]  # what an option may name
    values: Callable[[Chosen], Iterable[Any]]  # what makes sense with what is chosen so far
    default: Collection[Any] | None  # without an option; None: all that makes sense
    quick: Collection[Any] | None  # with --quick and without an option
    is_open: bool  # whether an option's values are taken as they are, whatever ``values`` says
    word: Callable[[Any], str]  # a case's part of its id; empty where it goes without saying

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    def parse(self, text: str) -> list[Any]:
        """Read an option's value: names or numbers, separated by commas.

        Raises ValueError, which names what there is.
        """
        by_text = {str(value): value for value in self.known()}
        if unknown := [name for name in text.split(",") if name not in by_text]:
            raise ValueError(f"no {unknown[0]!r}: there are {listed(self.known())}")
        return [by_text[name] for name in text.split(",")]

    def select(self, chosen: Chosen, wanted: Collection[Any] | None) -> list[Any]:
        """Return this axis's values for what is chosen so far; ``wanted`` are an option's."""
        if wanted is not None and self.is_open:
            return [*wanted]
        return [one for one in self.values(chosen) if wanted is None or one in wanted]


def axis(  # noqa: PLR0913  one keyword for each thing that an axis is asked for
    *,
    help: str,  # noqa: A002  what argparse calls it
    known: Callable[[], Collection[Any]],
    values: Callable[[Chosen], Iterable[Any]] | None = None,
    default: Collection[Any] | None = None,
    quick: Collection[Any] | None = None,
    is_open: bool = False,
    word: Callable[[Any], str] | None = None,
) -> Any:
    """Declare a field of a family as an axis. ``word`` is called with the case."""
    return field(
        metadata={
            KEY: {
                "help": help,
                "known": known,
                "values": values or (lambda _: known()),
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


def wanted_values(
    axes: Iterable[Axis], options: Mapping[str, Collection[Any] | None], *, quick: bool
) -> dict[str, Collection[Any] | None]:
    """Return for each axis the values that a run wants, None where it wants all.

    An option that is given comes before ``--quick``, which comes before the default.
    """
    wanted: dict[str, Collection[Any] | None] = {}
    for one in axes:
        usual = one.quick if quick and one.quick is not None else one.default
        given = options.get(one.name)
        wanted[one.name] = usual if given is None else given
    return wanted


def combinations(
    axes: Iterable[Axis], setting: Chosen, wanted: Mapping[str, Collection[Any] | None]
) -> Iterator[dict[str, Any]]:
    """Yield the values of every case: each axis is chosen with those before it in view."""
    chosen: list[dict[str, Any]] = [{}]
    for one in axes:
        chosen = [
            {**earlier, one.name: value}
            for earlier in chosen
            for value in one.select({**setting, **earlier}, wanted.get(one.name))
        ]
    yield from chosen


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
