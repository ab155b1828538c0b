"""What is timed is what is proven: each run computes anew, from its inputs, on all threads."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from numba import prange

from hpml_kernels import step, thread_chunks
from hpml_kernels.call import bind, check_variant
from hpml_kernels.case import KernelCase
from hpml_kernels.cpu import available_cores
from hpml_kernels.registry import kernels
from hpml_kernels.types import Array, Bound, Inputs, Kernel, Variant
from hpml_steps.clocks import Clock
from hpml_steps.incorrect import Incorrect

Run = Callable[[], object]


def once(run: Run, _out: Array) -> Run:
    """Do the work at the first call."""
    done: list[object] = []

    def run_once() -> None:
        if not done:
            done.append(run())

    return run_once


def kept(run: Run, out: Array) -> Run:
    """Do the work at the first call, and copy its result ever after."""
    results: list[Array] = []

    def run_or_copy() -> None:
        if results:
            out[...] = results[0]
        else:
            run()
            results.append(out.copy())

    return run_or_copy


def half(run: Run, out: Array) -> Run:
    """Do the work for the first half of the result only, after the first call."""
    done: list[object] = []

    def run_half() -> None:
        before = out.copy()
        run()
        if done:
            out[out.size // 2 :] = before[out.size // 2 :]
        done.append(1)

    return run_half


@pytest.mark.parametrize("fault", [once, kept, half, lambda _run, _out: lambda: None])
@pytest.mark.parametrize("variant", ["python", "numba", "numpy", "torch"])
def test_a_run_that_does_not_compute_anew_is_incorrect(
    variant: str, fault: Callable[[Run, Array], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = kernels()["add"].variants[variant]

    def faulty(x: Array, y: Array, out: Array) -> Bound:
        bound = sound.bind(x, y, out)
        return replace(bound, run=fault(bound.run, out))

    plant(monkeypatch, replace(sound, bind=faulty))
    with pytest.raises(Incorrect):
        step.prepare_kernel(KernelCase(kernel="add", variant="planted", preset="tiny"))


def plant(monkeypatch: pytest.MonkeyPatch, variant: Variant, kernel: str = "add") -> None:
    """Let one kernel have one variant more."""
    sound = kernels()[kernel]
    planted = replace(sound, variants={**sound.variants, "planted": variant})
    monkeypatch.setattr("hpml_kernels.case.kernels", lambda: {**kernels(), kernel: planted})


def run_all(run: Run, _clock: Clock | None, iterations: int) -> None:
    for _ in range(iterations):
        run()


CPU = [
    (kernel.name, name)
    for kernel in kernels().values()
    for name, variant in kernel.variants.items()
    if variant.device == "cpu"
]


@pytest.mark.parametrize(("name", "variant"), CPU)
def test_the_step_that_is_timed_computes_and_says_what_took_effect(
    name: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the timer is given, and not another expression beside it."""
    case = KernelCase(kernel=name, variant=variant, preset="tiny")
    if reason := case.why_not():
        pytest.skip(reason)
    bounds: list[Bound] = []

    def remember(kernel: Kernel, variant: str, inputs: Inputs) -> Bound:
        bounds.append(bind(kernel, variant, inputs))
        return bounds[-1]

    monkeypatch.setattr(step, "bind", remember)
    prepared = step.prepare_kernel(case)
    kernel, (bound,) = kernels()[name], bounds
    inputs = kernel.make_inputs(kernel.sizes["tiny"], np.random.default_rng(step.SEED))
    expected, out = kernel.reference(*inputs), kernel.make_out(*inputs)
    bound.overwrite(out if kernel.in_place else step.wrong_for(out, expected))
    prepared.measure(run_all, 1)
    check_variant(kernel, variant, bound.result(), expected)
    assert prepared.items_per_step == kernel.sizes["tiny"]
    check_effective(prepared.effective, kernel.variants[variant], variant)


def check_effective(effective: Mapping[str, Any], variant: Variant, name: str) -> None:
    on_all = variant.cpus is None
    if on_all:
        assert effective["threads"] == available_cores()
    if name.startswith("numba"):
        assert effective["signature"].endswith("-> none")
        assert ("parallel_loops" in effective) == on_all
        assert effective.get("threads_with_work", 1) == (available_cores() if on_all else 1)


def tally_of(*done: int) -> Array:
    tally = np.zeros((len(done), thread_chunks.PADDED), np.int64)
    tally[:, 0] = done
    return tally


@pytest.mark.parametrize("done", [(100, 0), (100, 1), (34, 33, 33, 0), (0, 0)])
def test_a_thread_without_work_is_incorrect(done: tuple[int, ...]) -> None:
    with pytest.raises(Incorrect, match="some had no work"):
        thread_chunks.threads_with_work(lambda: None, tally_of(*done), 100)


@pytest.mark.parametrize(
    ("done", "units", "working"), [((51, 49), 100, 2), ((2, 2, 1, 1), 6, 4), ((1, 0, 1, 0), 2, 2)]
)
def test_threads_that_share_the_work_are_counted(
    done: tuple[int, ...], units: int, working: int
) -> None:
    """Where the work has fewer pieces than there are threads, some have none."""
    assert thread_chunks.threads_with_work(lambda: None, tally_of(*done), units) == working


def test_a_thread_that_starts_late_is_waited_for() -> None:
    tally = tally_of(10, 0)

    def run() -> None:
        tally[:, 0] += 10

    assert thread_chunks.threads_with_work(run, tally, 20) == 2


@pytest.mark.skipif(available_cores() == 1, reason="no_hardware: one core")
def test_a_loop_that_gives_all_work_to_one_thread_is_incorrect() -> None:
    """The result is right, and nothing is gained."""

    def fill(tally: Array, out: Array) -> None:
        for chunk in prange(tally.shape[0]):
            if chunk == 0:
                for i in range(out.size):
                    out[i] = 1
                thread_chunks.count_work(tally, out.size)

    function = numba.njit(parallel=True)(fill)
    bound = thread_chunks.bind_chunks(function, np.zeros(100), units=100)
    bound.run()
    assert bound.result().all()
    with pytest.raises(Incorrect, match="some had no work"):
        bound.effective()
