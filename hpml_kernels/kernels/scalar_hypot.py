"""What one call of a small function costs: hypot of two numbers, from Python or compiled code.

Each call gets the result of the one before, so that none can be left out or overlap another: after
n calls the length is sqrt(x^2 + n y^2).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hpml_kernels.checks import check_count, check_number
from hpml_kernels.cpu import in_numba, interpreted, jit, on_host, scalar_out
from hpml_kernels.peers import on_numpy
from hpml_kernels.types import Array, Bound, Inputs, Kernel, Tolerance, Variant, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two sides; ``size`` is the number of calls."""
    return size, *(float(side) for side in generator.uniform(1.0, 5.0, size=2))


def check(calls: int, x: float, y: float) -> None:
    """Ask for at least one call, and two numbers."""
    check_count("calls", calls)
    check_number("x", x)
    check_number("y", y)


def reference(calls: int, x: float, y: float) -> Array:
    """Compute the length after all calls at once."""
    return np.array([math.hypot(x, math.sqrt(calls) * y)])


def hypot(x: float, y: float) -> float:
    """Compute a length by the ratio of the sides, whose square cannot overflow."""
    x, y = abs(x), abs(y)
    shorter, longer = min(x, y), max(x, y)
    if longer == 0:
        return 0.0
    ratio = shorter / longer
    return longer * math.sqrt(1.0 + ratio * ratio)


hypot_compiled = jit(error_model="numpy")(hypot)  # without a check of the divisor


@jit()
def hypot_chain(calls: int, x: float, y: float, out: Array) -> None:
    """Make all calls from compiled code."""
    for _ in range(calls):
        x = hypot_compiled(x, y)
    out[0] = x


def chain_of(function: Callable[[float, float], float]) -> Callable[..., None]:
    """Make all calls of a function from Python."""

    def chain(calls: int, x: float, y: float, out: Array) -> None:
        for _ in range(calls):
            x = function(x, y)
        out[0] = x

    return chain


def bind_called(*arguments: Any) -> Bound:
    """Bind a loop in Python that calls the compiled function."""
    chain = chain_of(hypot_compiled)
    return on_host(
        lambda: chain(*arguments),
        arguments[-1],
        lambda: {"signature": str(hypot_compiled.nopython_signatures[0])},
    )


KERNEL = Kernel(
    name="scalar_hypot",
    sizes={"tiny": 1_000, "small": 10_000, "paper": 100_000},
    make_inputs=make_inputs,
    make_out=lambda *_: scalar_out(np.float64),
    check=check,
    reference=reference,
    tolerance=Tolerance(of_largest=1e-9),  # each call may add its own half ulp
    work=lambda size: Work(bytes_moved=0, flops=5 * size),
    limit="fma",
    variants={
        "python": interpreted(chain_of(hypot)),
        "math": replace(interpreted(chain_of(math.hypot)), is_peer=True),
        **on_numpy(chain_of(np.hypot)),
        "called": Variant(bind=bind_called),
        "numba": in_numba(hypot_chain),
    },
)
