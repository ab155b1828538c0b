"""A kernel's variant becomes a prepared step: bound, compiled, held to the reference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hpml_kernels.cuda import CudaClock
from hpml_kernels.registry import kernels
from hpml_kernels.types import Array, Incorrect, Kernel

SEED = 42

Timer = Callable[[Callable[[], object], Any, int], Any]
"""``timer(run, clock, iterations)`` times one block; the clock is None on the CPU."""


@dataclass(frozen=True, kw_only=True)
class KernelStep:
    """One call of a variant on inputs that stay the same."""

    run: Callable[[], object]
    clock: CudaClock | None
    items_per_step: int
    effective: Mapping[str, Any]

    def measure(self, timer: Timer, iterations: int) -> Sequence[Any]:
        """Time one block."""
        return [timer(self.run, self.clock, iterations)]

    def close(self) -> None:
        """Nothing is held that the process would not give back."""


def kernel_id(kernel_name: str, variant_name: str, preset: str) -> str:
    """Return the key of a variant's baseline: ``add-numba-n100000``."""
    return f"{kernel_name}-{variant_name}-n{kernels()[kernel_name].sizes[preset]}"


@cache
def every_id() -> frozenset[str]:
    """Return the key of every variant at every preset."""
    return frozenset(
        kernel_id(kernel.name, variant, preset)
        for kernel in kernels().values()
        for variant in kernel.variants
        for preset in kernel.sizes
    )


def prepare_kernel(kernel_name: str, variant_name: str, preset: str) -> KernelStep:
    """Bind a variant to seeded inputs, run it once and check what it gave.

    Raises :class:`~hpml_kernels.types.Incorrect` if the result is wrong or the variant was not
    compiled as its name says.
    """
    kernel = kernels()[kernel_name]
    variant = kernel.variants[variant_name]
    inputs = kernel.make_inputs(kernel.sizes[preset], np.random.default_rng(SEED))
    bound = variant.bind(*inputs)
    bound.run()
    check_result(kernel, bound.result(), kernel.reference(*inputs))
    return KernelStep(
        run=bound.run,
        clock=CudaClock() if variant.device == "cuda" else None,
        items_per_step=kernel.sizes[preset],
        effective=bound.effective(),
    )


def check_result(kernel: Kernel, result: Array, expected: Array) -> None:
    """Raise :class:`~hpml_kernels.types.Incorrect` if the two differ by more than is allowed."""
    if result.shape != expected.shape:
        raise Incorrect(f"{kernel.name} gives shape {result.shape}, not {expected.shape}")
    largest = np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)
    allowed = kernel.tolerance * float(largest)
    close = np.isclose(result, expected, rtol=0.0, atol=allowed, equal_nan=True)
    if not close.all():
        wrong = int(np.size(close) - np.count_nonzero(close))
        raise Incorrect(f"{kernel.name} gives {wrong} wrong values of {expected.size}")
