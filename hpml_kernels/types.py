"""The types that kernels are described in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = tuple[Array, ...]


class Incorrect(AssertionError):
    """A variant gave a wrong result, or did not take effect: its time would mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A variant bound to its inputs: ``run`` does the work, ``result`` fetches what it gave.

    ``effective`` says what took effect; it is read after the first run, when all is compiled.
    """

    run: Callable[[], object]
    result: Callable[[], Array]
    effective: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to compute a kernel. ``bind`` gets the kernel's inputs, on the host."""

    bind: Callable[..., Bound]
    why_not: Callable[[], str | None] = lambda: None  # what this machine lacks for it
    device: str = "cpu"
    cpus: int | None = 1  # how many it computes on, None for all


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel: its inputs, its reference, its variants.

    A call works through ``sizes[preset]`` elements or samples. A result may differ from the
    reference by ``tolerance``, relative to the reference's largest value.
    """

    name: str
    sizes: Mapping[str, int]  # by preset
    make_inputs: Callable[[int, np.random.Generator], Arrays | tuple[int, ...]]
    reference: Callable[..., Array]
    tolerance: float
    variants: Mapping[str, Variant]  # by name
