"""Zero suppression of an int16 signal: what lies below a threshold becomes zero."""

import numpy as np
from numba import prange

from hpml_kernels.checks import check_array, check_count
from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work

NOISE, PULSE, THRESHOLD, PULSES = 3, 300, 15, 23
LARGEST = 2**15 - 1


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw a signal of pulses in noise; the threshold keeps the pulses."""
    wave = np.maximum(np.sin(np.arange(size) * PULSES / size) - 0.3, 0)
    return (wave * PULSE + NOISE * generator.standard_normal(size)).astype(np.int16), THRESHOLD


def check(signal: Array, threshold: int) -> None:
    """Ask for an int16 array, and a threshold that is one of its values and not negative."""
    check_array("signal", signal, np.int16)
    check_count("threshold", threshold, least=0)
    if threshold > LARGEST:
        raise ValueError(f"threshold is {threshold}, not at most {LARGEST}")


def reference(signal: Array, threshold: int) -> Array:
    """Choose between each value and zero."""
    return np.where(signal < threshold, 0, signal)


def suppress_loop(signal: Array, threshold: int, out: Array) -> None:
    """Look at one value after the other."""
    for i in range(out.size):
        out[i] = 0 if signal[i] < threshold else signal[i]


@jit()
def suppress_serial(signal: Array, threshold: int, out: Array) -> None:
    """Suppress on one core; the threshold in the signal's own type, so that vectors are full."""
    least = np.int16(threshold)
    for i in range(np.uintp(out.size)):
        out[i] = np.int16(0) if signal[i] < least else signal[i]


@jit(parallel=True)
def suppress_parallel(signal: Array, threshold: int, tally: Array, out: Array) -> None:
    """Suppress on all cores."""
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(np.uintp(out.size), tally.shape[0], chunk)
        suppress_serial(signal[first:last], threshold, out[first:last])
        count_work(tally, last - first)


@cuda.jit
def suppress_cuda(signal: Array, threshold: int, out: Array) -> None:
    """Suppress on the device: each thread walks the signal by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = 0 if signal[i] < threshold else signal[i]


KERNEL = Kernel(
    name="zero_suppression",
    sizes={"tiny": 100_000, "small": 100_000, "paper": 100_000},
    make_inputs=make_inputs,
    make_out=lambda signal, _threshold: np.empty_like(signal),
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=4 * size, integer_ops=size),
    limit="copy",
    variants={
        "python": interpreted(suppress_loop),
        **on_numpy(
            lambda signal, threshold, out: np.multiply(signal, signal >= threshold, out=out)
        ),
        **on_torch(
            lambda torch, signal, threshold, out: torch.mul(signal, signal >= threshold, out=out)
        ),
        **on_cupy(
            lambda cupy, signal, threshold, out: cupy.multiply(signal, signal >= threshold, out=out)
        ),
        "numba": in_numba(suppress_serial),
        "numba_parallel": in_chunks(suppress_parallel),
        "cuda_naive": by_element(suppress_cuda),
    },
)
