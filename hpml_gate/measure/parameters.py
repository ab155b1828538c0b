"""What a test's parameters are, in words that two versions of the code can be compared by."""

from collections.abc import Callable, Mapping
from typing import Any

DEPTH, LENGTH = 4, 2000  # how far objects are looked into, and how much is kept


def described_parameters(item: Any) -> str:
    """Return the parameters of a pytest item; nothing if it has none."""
    callspec = getattr(item, "callspec", None)
    return described(callspec.params)[:LENGTH] if callspec else ""


def described(value: object, depth: int = DEPTH) -> str:
    """Describe a value by its content, never by where it lies in memory."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, type) or callable(value):
        return _name(value)
    name = type(value).__qualname__
    return f"{name}({_content(value, depth - 1)})" if depth else name


def _content(value: object, depth: int) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{described(k, depth)}: {described(v, depth)}" for k, v in value.items())
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(described(one, depth) for one in value))
    if isinstance(value, list | tuple):
        return ", ".join(described(one, depth) for one in value)
    if shape := getattr(value, "shape", None):
        return f"{shape}, {getattr(value, 'dtype', '')}"
    own = getattr(value, "__dict__", {})
    return ", ".join(f"{name}={described(own[name], depth)}" for name in sorted(own))


def _name(value: type | Callable[..., object]) -> str:
    return getattr(value, "__qualname__", type(value).__qualname__)
