"""A kernel's variant becomes a prepared step: bound, compiled, held to the reference."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hpml_kernels.call import bind, check_variant
from hpml_kernels.case import KernelCase
from hpml_kernels.cuda import cuda_clock
from hpml_kernels.types import Array, Bound, Inputs, Kernel
from hpml_steps.clocks import Clock
from hpml_steps.incorrect import Incorrect
from hpml_steps.local_step import LocalStep

SEED = 42


def prepare_kernel(case: KernelCase) -> LocalStep:
    """Bind a variant to seeded inputs, run it and check what it gives.

    Raises :class:`~hpml_steps.incorrect.Incorrect` if a result is wrong, if a later run leaves the
    first one's result, or if the variant was not compiled as its name says.
    """
    kernel = case.spec
    inputs = kernel.make_inputs(case.size, np.random.default_rng(SEED))
    bound = bind(kernel, case.variant, inputs)
    clock = cuda_clock() if case.implementation.device == "cuda" else None
    step = LocalStep(run=bound.run, clock=clock, items_per_step=case.size)
    prove(kernel, case.variant, inputs, bound, step)
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
