"""Model options: what a model's ``build`` takes can be swept, and is a part of the id."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hpml_models.types import ModelSpec, PresetName

OptionValues = tuple[tuple[str, Any], ...]
"""Names and values that differ from the preset's, in the order in which they were asked for."""


def parse_option(text: str) -> tuple[str, list[str]]:
    """Read ``NAME=VALUE,VALUE``; raises ValueError."""
    name, equals, values = text.partition("=")
    if not name or not equals or not all(values.split(",")):
        raise ValueError(f"{text!r} is not NAME=VALUES, like d_model=64,128")
    return name, values.split(",")


def option_values(
    spec: ModelSpec, preset: PresetName, asked: Mapping[str, Sequence[str]]
) -> Iterator[OptionValues]:
    """Yield each combination of the values that are asked for; none where the model lacks one.

    A value has the type that the preset's has. Raises ValueError for one that has not.
    """
    usual = spec.presets[preset].options
    if not asked.keys() <= usual.keys():
        return
    typed = [[_typed(name, text, usual[name]) for text in texts] for name, texts in asked.items()]
    for values in product(*typed):
        yield tuple(zip(asked, values, strict=True))


def options_word(values: OptionValues) -> str:
    """Return the options' part of an id: ``d_model64-dropout0.1``."""
    return "-".join(f"{name}{value}" for name, value in values)


def _typed(name: str, text: str, usual: Any) -> Any:
    kind = type(usual)
    try:
        return {"True": True, "False": False}[text] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise ValueError(
            f"--model-option {name}={text}: not {kind.__name__} as the preset's {usual!r}"
        ) from None
