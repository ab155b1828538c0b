"""A kernel's variant becomes a prepared step: bound, compiled, held to the reference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hpml_kernels.call import bind, check_variant
from hpml_kernels.cuda import CudaClock
from hpml_kernels.registry import kernels

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


def why_not(kernel_name: str, variant_name: str, preset: str) -> str | None:
    """Return the reason why a variant cannot be timed here at this preset's size."""
    kernel = kernels()[kernel_name]
    variant, size = kernel.variants[variant_name], kernel.sizes[preset]
    largest = variant.largest_size
    if largest is not None and size > largest:
        return f"unsupported: {size} elements are beyond the {largest} of {variant_name}"
    return variant.why_not()


def prepare_kernel(kernel_name: str, variant_name: str, preset: str) -> KernelStep:
    """Bind a variant to seeded inputs, run it once and check what it gave.

    Raises :class:`~hpml_kernels.types.Incorrect` if the result is wrong or the variant was not
    compiled as its name says.
    """
    kernel = kernels()[kernel_name]
    inputs = kernel.make_inputs(kernel.sizes[preset], np.random.default_rng(SEED))
    bound = bind(kernel, variant_name, inputs)
    bound.run()
    check_variant(kernel, variant_name, bound.result(), kernel.reference(*inputs))
    on_cuda = kernel.variants[variant_name].device == "cuda"
    return KernelStep(
        run=bound.run,
        clock=CudaClock() if on_cuda else None,
        items_per_step=kernel.sizes[preset],
        effective=bound.effective(),
    )
