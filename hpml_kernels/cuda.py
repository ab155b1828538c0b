"""What CUDA variants share: whether there is a device, binding a kernel, the device's clock.

Kernels take ``cuda`` from here: the one place that knows which package it comes from. It must be
a global of the kernel's module, where numba's simulator exchanges it for its own.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numba import cuda as numba_cuda

from hpml_kernels.types import Array, Bound, DeviceCode, Variant

cuda: Any = numba_cuda

THREADS = 256  # per block
MAX_BLOCKS = 4096  # beyond this a thread walks on by the grid's stride


@cache
def why_not_cuda() -> str | None:
    """Return what is missing to run CUDA kernels, None if nothing is."""
    if cuda.is_available():
        return None
    return "no_hardware: no CUDA device that numba can use (and the cuda extra installed)"


def on_cuda(
    bind: Callable[..., Bound], *, code: DeviceCode | None = None, simulated: bool = True
) -> Variant:
    """Make the variant that ``bind`` binds on the device."""
    return Variant(
        bind=bind,
        why_not=why_not_cuda,
        device="cuda",
        cpus=None,
        code=code,
        simulated=simulated,
    )


def by_element(
    kernel: Any,
    *,
    code: DeviceCode | None = None,
    per_thread: int = 1,
    shape: tuple[int, int] | None = None,
) -> Variant:
    """Make the variant whose CUDA kernel walks through ``out`` by the size of the grid.

    The kernel gets the inputs and ``out`` on the device; ``per_thread`` elements each make a grid,
    where it has no ``shape`` of its own (blocks, threads of each).
    """

    def bind(*arguments: Any) -> Bound:
        on_device = [to_device(one) if isinstance(one, np.ndarray) else one for one in arguments]
        blocks, threads = shape or (blocks_for(-(-arguments[-1].size // per_thread)), THREADS)
        result = on_device[-1].copy_to_host
        return bind_cuda(kernel, blocks, result, *on_device, threads=threads)

    return on_cuda(bind, code=code)


def sum_by_blocks(kernel: Any) -> Variant:
    """Make the variant whose CUDA kernel leaves a sum for each block; the host adds them up."""

    def bind(*arguments: Any) -> Bound:
        *inputs, _out = arguments
        blocks = blocks_for(inputs[0].size)
        sums = to_device(np.zeros(blocks))
        return bind_cuda(
            kernel,
            blocks,
            lambda: sums.copy_to_host().sum(keepdims=True),
            *map(to_device, inputs),
            sums,
        )

    return on_cuda(bind)


def blocks_for(count: int) -> int:
    """Return how many blocks give one thread to each of ``count`` elements, up to a full grid."""
    return max(1, min(MAX_BLOCKS, -(-count // THREADS)))


def bind_cuda(
    kernel: Any,
    blocks: int,
    result: Callable[[], Array],
    *arguments: Any,
    threads: int = THREADS,
) -> Bound:
    """Bind a CUDA kernel to arguments on the device; ``result`` fetches what a run left there."""
    launch = kernel[blocks, threads]
    return Bound(
        run=lambda: launch(*arguments),
        result=result,
        effective=lambda: {"blocks": blocks, "threads_per_block": threads, **_device()},
    )


def _device() -> Mapping[str, Any]:
    name = cuda.get_current_device().name
    return {"gpu": name.decode() if isinstance(name, bytes) else str(name)}


def to_device(array: Array) -> Any:
    """Copy to the device, outside any timing."""
    return cuda.to_device(array)


class CudaClock:
    """CUDA events on the default stream, one synchronisation at the end of a block."""

    def __init__(self) -> None:
        """Make the two events."""
        self._first, self._last = cuda.event(), cuda.event()

    def start(self) -> None:
        """Drain the device, then record the first event."""
        cuda.synchronize()
        self._first.record()

    def stop(self) -> int | None:
        """Record the last event, wait for it, return what lies between the two."""
        self._last.record()
        self._last.synchronize()
        milliseconds: float = self._first.elapsed_time(self._last)
        return round(milliseconds * 1e6)
