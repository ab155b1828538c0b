"""A kernel's variant becomes a prepared step: bound, compiled, held to the reference."""

from functools import cache

import numpy as np

from hpml_kernels.call import bind, check_variant
from hpml_kernels.cuda import cuda_clock
from hpml_kernels.registry import kernels
from hpml_steps.local_step import LocalStep

SEED = 42


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


def prepare_kernel(kernel_name: str, variant_name: str, preset: str) -> LocalStep:
    """Bind a variant to seeded inputs, run it once and check what it gave.

    Raises :class:`~hpml_steps.incorrect.Incorrect` if the result is wrong or the variant was not
    compiled as its name says.
    """
    kernel = kernels()[kernel_name]
    inputs = kernel.make_inputs(kernel.sizes[preset], np.random.default_rng(SEED))
    bound = bind(kernel, variant_name, inputs)
    bound.run()
    check_variant(kernel, variant_name, bound.result(), kernel.reference(*inputs))
    on_cuda = kernel.variants[variant_name].device == "cuda"
    return LocalStep(
        run=bound.run,
        clock=cuda_clock() if on_cuda else None,
        items_per_step=kernel.sizes[preset],
        effective=bound.effective(),
    )
