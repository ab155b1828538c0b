"""Elementwise addition of two float32 arrays: the plainest kernel that memory bounds.

Moves 12 bytes per element for one operation. ``out`` is allocated beforehand in every variant.
"""

import numpy as np
from numba import njit, prange

from hpml_kernels.cpu import bind_numba, in_parallel
from hpml_kernels.cuda import bind_cuda, blocks_for, cuda, on_cuda, to_device
from hpml_kernels.types import Array, Arrays, Bound, Kernel, Variant


def make_inputs(size: int, generator: np.random.Generator) -> Arrays:
    """Draw two arrays of ``size`` normal numbers."""
    return tuple(generator.standard_normal(size, dtype=np.float32) for _ in range(2))


def reference(x: Array, y: Array) -> Array:
    """Add in float64 and round once: what a correct float32 addition gives, bit for bit."""
    total: Array = x.astype(np.float64) + y
    return total.astype(np.float32)


@njit
def add_serial(x: Array, y: Array, out: Array) -> None:
    """Add on one core."""
    for i in range(np.uintp(out.size)):  # unsigned: a signed index is checked for wraparound
        out[i] = x[i] + y[i]


@njit(parallel=True)
def add_parallel(x: Array, y: Array, out: Array) -> None:
    """Add on all cores."""
    for i in prange(out.size):
        out[i] = x[i] + y[i]


@cuda.jit
def add_cuda(x: Array, y: Array, out: Array) -> None:
    """Add on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = x[i] + y[i]


def bind_numpy(x: Array, y: Array) -> Bound:
    """Bind ``np.add``."""
    out = np.empty_like(x)
    return Bound(
        run=lambda: np.add(x, y, out=out),
        result=lambda: out,
        effective=lambda: {"numpy": np.__version__},
    )


def bind_serial(x: Array, y: Array) -> Bound:
    """Bind the serial numba loop."""
    out = np.empty_like(x)
    return bind_numba(add_serial, lambda: out, x, y, out)


def bind_parallel(x: Array, y: Array) -> Bound:
    """Bind the parallel numba loop."""
    out = np.empty_like(x)
    return bind_numba(add_parallel, lambda: out, x, y, out)


def bind_device(x: Array, y: Array) -> Bound:
    """Bind the CUDA kernel to arrays that lie on the device."""
    out = to_device(np.empty_like(x))
    arguments = to_device(x), to_device(y), out
    return bind_cuda(add_cuda, blocks_for(x.size), out.copy_to_host, *arguments)


KERNEL = Kernel(
    name="add",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    reference=reference,
    tolerance=0.0,
    variants={
        "numpy": Variant(bind=bind_numpy),
        "numba": Variant(bind=bind_serial),
        "numba_parallel": in_parallel(bind_parallel),
        "cuda": on_cuda(bind_device),
    },
)
