"""A kernel's variant becomes a prepared step: bound, compiled, held to the reference."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from hpml_kernels.call import bind, check_variant
from hpml_kernels.cuda import cuda_clock
from hpml_kernels.registry import kernels
from hpml_kernels.types import Array, Bound, Inputs, Kernel
from hpml_steps.clocks import Clock
from hpml_steps.incorrect import Incorrect
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
    """Bind a variant to seeded inputs, run it and check what it gives.

    Raises :class:`~hpml_steps.incorrect.Incorrect` if a result is wrong, if a later run leaves the
    first one's result, or if the variant was not compiled as its name says.
    """
    kernel = kernels()[kernel_name]
    size = kernel.sizes[preset]
    inputs = kernel.make_inputs(size, np.random.default_rng(SEED))
    bound = bind(kernel, variant_name, inputs)
    on_cuda = kernel.variants[variant_name].device == "cuda"
    step = LocalStep(run=bound.run, clock=cuda_clock() if on_cuda else None, items_per_step=size)
    prove(kernel, variant_name, inputs, bound, step)
    return replace(step, effective=bound.effective())


def prove(kernel: Kernel, variant: str, inputs: Inputs, bound: Bound, step: LocalStep) -> None:
    """Check that each run of the step, as it will be timed, computes the kernel anew.

    Before each run its result is overwritten. On a CPU the inputs are exchanged for zeros too:
    the result must change with them.
    """
    expected = kernel.reference(*inputs)
    out = kernel.make_out(*inputs)
    before = out if kernel.in_place else wrong_for(out, expected)

    def run_anew() -> Array:
        bound.overwrite(before)
        step.measure(_run, 1)
        return bound.result()

    for _ in range(2):
        check_variant(kernel, variant, run_anew(), expected)
    if kernel.variants[variant].device == "cpu":
        _check_follows_inputs(kernel, variant, inputs, expected, run_anew)
    bound.overwrite(before)


def _run(run: Callable[[], object], _clock: Clock | None, iterations: int) -> None:
    """Take the place of a timer."""
    for _ in range(iterations):
        run()


def wrong_for(out: Array, expected: Array) -> Array:
    """Return values of the type of ``out`` that are wrong everywhere, by far."""
    return np.where(np.abs(expected) < 1, 2, -expected).astype(out.dtype)


def _check_follows_inputs(
    kernel: Kernel,
    variant: str,
    inputs: Inputs,
    expected: Array,
    run_anew: Callable[[], Array],
) -> None:
    arrays = [one for one in inputs if isinstance(one, np.ndarray)]
    if not arrays:
        return
    kept = [one.copy() for one in arrays]
    for array in arrays:
        array[...] = 0
    result = run_anew().copy()
    for array, values in zip(arrays, kept, strict=True):
        array[...] = values
    try:
        check_variant(kernel, variant, result, expected)
    except Incorrect:
        return
    raise Incorrect(f"{kernel.name}-{variant} gives the same for other inputs")
