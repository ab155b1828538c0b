"""The types that kernels are described in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = tuple[Any, ...]  # arrays and numbers, on the host

Limit = Literal[
    "read",
    "copy",
    "combine",
    "accumulate",
    "fma",
    "integer",
    "multiply",
    "launch",
    "pcie",
]
"""A roof of the machine, as :mod:`hpml_kernels.roofline.probes` measures it.

``read``: bytes read. ``copy``: one array read, one written. ``combine``: two read, one written.
``accumulate``: one read, another read and written in place. Each over as many bytes as the kernel
moves, so in the same cache or in memory; on CUDA that memory is the device's. ``fma``: float32
operations, two for each fused multiply-add. ``integer``: integer operations as they are mixed in
deciding whether a word's points lie in a circle. ``multiply``: products of 32-bit numbers of
which both halves count. ``launch``: calls of an empty kernel. ``pcie``: bytes between host and
device.
"""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a call has to do at the least, however it does it.

    ``bytes_moved`` counts each input byte once and each output byte once, or twice where the
    kernel updates in place; an integer kernel counts ``integer_ops`` instead of ``flops``.
    """

    bytes_moved: int
    flops: int = 0
    integer_ops: int = 0


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a result may lie from its reference: by the larger of the two.

    ``ulps`` counts spacings of the result's type at each value of the reference, ``of_largest`` is
    relative to the reference's largest magnitude. Neither: the reference, rounded to the result's
    type, bit for bit (signs of zero and of NaN apart).
    """

    ulps: float = 0.0
    of_largest: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A variant bound to its arguments: ``run`` does the work, ``result`` fetches what it gave.

    ``overwrite`` puts other values where the next run leaves its result. ``effective`` says what
    took effect; it is read after the first run, when all is compiled.
    """

    run: Callable[[], object]
    result: Callable[[], Array]
    overwrite: Callable[[Array], object]
    effective: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class DeviceCode:
    """What a CUDA kernel compiles to, which can be read without a device.

    ``signature`` is that of the kernel's inputs and ``out`` where it is None; ``instructions`` are
    those that its PTX must hold (``ld.global.v4.f32``, ``shfl.sync``).
    """

    function: Any
    signature: str | None = None
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to compute a kernel.

    ``bind`` gets the kernel's inputs and then ``out``, all on the host and checked. A peer is not
    ours: what we would be measured by if this project were not there.
    """

    bind: Callable[..., Bound]
    why_not: Callable[[], str | None] = lambda: None  # what this machine lacks for it
    device: Literal["cpu", "cuda"] = "cpu"
    cpus: int | None = 1  # how many it computes on, None for all
    is_peer: bool = False
    largest_size: int | None = None  # beyond this a call would take minutes
    codes: tuple[DeviceCode, ...] = ()  # of CUDA variants of ours
    simulated: bool = True  # numba's simulator can run it
    own_random_numbers: bool = False  # it agrees with the reference in the limit only
    threaded_library: str | None = None  # whose number of threads is set for the whole process
    tolerance: Tolerance | None = None  # where it is not the kernel's: a peer may be less exact
    limit: Limit | None = None  # where it is not the kernel's: a copy in every call, say


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel: its inputs, its reference, its variants, and what bounds its speed.

    ``sizes[preset]`` is the number of elements or samples of a call, or whatever ``make_inputs``
    shapes from one number. ``check(*inputs)`` raises ``TypeError`` or ``ValueError`` that names the
    argument, before anything is bound: :mod:`hpml_kernels.checks` has its parts.
    ``make_out(*inputs)`` allocates ``out``; a kernel that works ``in_place`` updates what it holds.
    No variant writes to an input. The reference may be of a wider type than the result.
    """

    name: str
    sizes: Mapping[str, int]  # by preset
    make_inputs: Callable[[int, np.random.Generator], Inputs]
    make_out: Callable[..., Array]
    check: Callable[..., None]
    reference: Callable[..., Array]
    tolerance: Tolerance
    work: Callable[[int], Work]
    limit: Limit
    variants: Mapping[str, Variant]  # by name
    in_place: bool = False
    worst_tolerance: Tolerance | None = None  # where values are alike: all sums round one way

    def limit_of(self, variant: str) -> Limit:
        """Return what bounds the speed of a variant."""
        return self.variants[variant].limit or self.limit
