"""Elementwise addition of two float32 arrays: the plainest kernel that memory bounds."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import vectorize
from numba.extending import register_jitable

from hpml_kernels.checks import check_pair
from hpml_kernels.cpu import on_host
from hpml_kernels.cuda import (
    THREADS,
    blocks_for,
    by_element,
    cuda,
    device_name,
    on_cuda,
    on_device,
    to_device,
)
from hpml_kernels.cuda_streaming import of_two
from hpml_kernels.peers import on_cupy, on_numexpr, on_numpy, on_torch
from hpml_kernels.streaming import elementwise
from hpml_kernels.types import Array, Bound, Inputs, Kernel, Tolerance, Work


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw two arrays of ``size`` normal numbers."""
    return tuple(generator.standard_normal(size, dtype=np.float32) for _ in range(2))


def reference(x: Array, y: Array) -> Array:
    """Add in float64; rounded once, that is what a correct float32 addition gives, bit for bit."""
    total: Array = x.astype(np.float64) + y
    return total


@register_jitable
def add(x: Array, y: Array) -> Array:
    """Add two numbers, or two vectors."""
    return x + y


@cuda.jit
def add_cuda(x: Array, y: Array, out: Array) -> None:
    """Add on the device: each thread walks the arrays by the size of the grid."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = x[i] + y[i]


def bind_host_arrays(x: Array, y: Array, out: Array) -> Bound:
    """Copy both inputs to the device and the result back, in every call."""
    blocks = blocks_for(out.size)
    launch = add_cuda[blocks, THREADS]
    x, y, whole = (np.ascontiguousarray(one) for one in (x, y, out))  # copied as one block
    return on_host(
        lambda: launch(cuda.In(x), cuda.In(y), cuda.Out(whole)),
        whole,
        lambda: {"blocks": blocks, "gpu": device_name()},
    )


def bind_allocating(x: Array, y: Array, out: Array) -> Bound:
    """Allocate the result on the device in every call, as a function that returns it would."""
    blocks, inputs = blocks_for(out.size), (to_device(x), to_device(y))
    launch = add_cuda[blocks, THREADS]
    last: list[Any] = []  # result, until the next call

    def run() -> None:
        last[:] = [cuda.device_array_like(inputs[0])]
        launch(*inputs, last[0])

    return Bound(
        run=run,
        result=lambda: np.asarray(last[0].copy_to_host()),
        overwrite=lambda values: last.__setitem__(slice(None), [to_device(values)]),
        effective=lambda: {"blocks": blocks, "gpu": device_name()},
    )


def bind_vectorize(x: Array, y: Array, out: Array) -> Bound:
    """Let numba make the loop and choose the launch's shape; it compiles here, not at import."""
    ufunc: Any = vectorize(["float32(float32, float32)"], target="cuda")(add)
    inputs, result = (to_device(x), to_device(y)), to_device(out)
    return on_device(lambda: ufunc(*inputs, out=result), result, ufunc=True)


KERNEL = Kernel(
    name="add",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda x, _y: np.empty_like(x),
    check=check_pair,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=12 * size, flops=size),
    limit="combine",
    variants={
        **elementwise(add),
        **on_numpy(lambda x, y, out: np.add(x, y, out=out)),
        **on_numexpr("x + y", "x", "y"),
        **on_torch(lambda torch, x, y, out: torch.add(x, y, out=out)),
        **on_cupy(lambda cupy, x, y, out: cupy.add(x, y, out=out)),
        "cuda_host": replace(on_cuda(bind_host_arrays), limit="pcie"),
        "cuda_allocating": on_cuda(bind_allocating),
        "cuda_vectorize": on_cuda(bind_vectorize, simulated=False),
        # A single thread: how not to launch.
        "cuda_1x1": replace(by_element(add_cuda, shape=(1, 1)), largest_size=2**20),
        # 8,192 threads take the simulator several seconds.
        "cuda_128x64": replace(by_element(add_cuda, shape=(128, 64)), simulated=False),
        "cuda_naive": by_element(add_cuda),
        "cuda_vectors": of_two(add),
    },
)
