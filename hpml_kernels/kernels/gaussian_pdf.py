"""Density of a normal distribution over a float32 array: elementwise arithmetic, an exponential."""

import math
from typing import Any

import numpy as np
from numba import prange

from hpml_kernels.checks import check_array, check_number
from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.simd.transcendental import exponential
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work

SQRT_2_PI = math.sqrt(2 * math.pi)


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw ``size`` numbers up to three deviations from the mean, and the two parameters."""
    mean, deviation = float(generator.uniform(-1, 1)), float(generator.uniform(0.5, 2))
    spread = generator.uniform(-3, 3, size=size)
    return (mean + deviation * spread).astype(np.float32), mean, deviation


def check(x: Array, mean: float, deviation: float) -> None:
    """Ask for a float32 array, a mean, and a deviation above zero."""
    check_array("x", x, np.float32)
    check_number("mean", mean)
    check_number("deviation", deviation)
    if deviation <= 0:
        raise ValueError(f"deviation is {deviation}, not above zero")


def density(math_of: Any, x: Any, mean: float, deviation: float) -> Any:
    """Compute the density with another library's exponential."""
    return math_of.exp(((x - mean) / deviation) ** 2 * -0.5) / (deviation * SQRT_2_PI)


def reference(x: Array, mean: float, deviation: float) -> Array:
    """Compute in float64."""
    densities: Array = density(np, x.astype(np.float64), mean, deviation)
    return densities


def gaussian_loop(x: Array, mean: float, deviation: float, out: Array) -> None:
    """Compute one element after the other."""
    for i in range(out.size):
        out[i] = density(math, float(x[i]), mean, deviation)


@jit(fastmath={"contract"}, error_model="numpy")
def gaussian_serial(x: Array, mean: float, deviation: float, out: Array) -> None:
    """Compute on one core."""
    offset, inverse = np.float32(mean), np.float32(1 / deviation)
    height = np.float32(1 / (deviation * SQRT_2_PI))
    for i in range(np.uintp(out.size)):
        distance = (x[i] - offset) * inverse
        out[i] = height * exponential(distance * distance * np.float32(-0.5))


@jit(parallel=True)
def gaussian_parallel(x: Array, mean: float, deviation: float, tally: Array, out: Array) -> None:
    """Compute on all cores."""
    for chunk in prange(tally.shape[0]):
        first, last = chunk_bounds(np.uintp(out.size), tally.shape[0], chunk)
        gaussian_serial(x[first:last], mean, deviation, out[first:last])
        count_work(tally, last - first)


@cuda.jit
def gaussian_cuda(x: Array, mean: float, deviation: float, out: Array) -> None:
    """Compute on the device: each thread walks the array by the size of the grid."""
    offset, inverse = np.float32(mean), np.float32(1 / deviation)
    height = np.float32(1 / (deviation * SQRT_2_PI))
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        distance = (x[i] - offset) * inverse
        out[i] = height * math.exp(distance * distance * np.float32(-0.5))


def run_numpy(x: Array, mean: float, deviation: float, out: Array) -> None:
    """Compute in place of ``out``, step by step."""
    np.subtract(x, np.float32(mean), out=out)
    np.multiply(out, np.float32(1 / deviation), out=out)
    np.multiply(out, out, out=out)
    np.multiply(out, np.float32(-0.5), out=out)
    np.exp(out, out=out)
    np.multiply(out, np.float32(1 / (deviation * SQRT_2_PI)), out=out)


KERNEL = Kernel(
    name="gaussian_pdf",
    sizes={"tiny": 100_000, "small": 1_000_000, "paper": 1_000_000},
    make_inputs=make_inputs,
    make_out=lambda x, _mean, _deviation: np.empty_like(x),
    check=check,
    reference=reference,
    tolerance=Tolerance(of_largest=1e-6),  # x near a large mean loses what rounding took
    work=lambda size: Work(bytes_moved=8 * size, flops=20 * size),
    limit="copy",
    variants={
        "python": interpreted(gaussian_loop),
        **on_numpy(run_numpy),
        **on_numexpr(
            f"exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * {SQRT_2_PI})",
            "x",
            "mean",
            "deviation",
        ),
        **on_torch(
            lambda torch, x, mean, deviation, out: out.copy_(density(torch, x, mean, deviation))
        ),
        **on_cupy(
            lambda cupy, x, mean, deviation, out: cupy.copyto(
                out, density(cupy, x, mean, deviation)
            )
        ),
        "numba": in_numba(gaussian_serial),
        "numba_parallel": in_chunks(gaussian_parallel),
        "cuda_naive": by_element(gaussian_cuda),
    },
)
