"""What CUDA variants share: whether there is a device, binding a kernel, the device's clock.

Kernels take ``cuda`` from here: the one place that knows which package it comes from. It must be
a global of the kernel's module, where numba's simulator exchanges it for its own.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

import numpy as np
from numba import config

from hpml_kernels.types import Array, Bound, DeviceCode, Variant
from hpml_steps.clocks import CudaClock


def _import_cuda() -> Any:
    """Import numba's CUDA target, with what numba-cuda 0.30 still asks of numpy 2.5.

    It reads ``np.row_stack``, which is gone, and makes a time without a unit, which is deprecated.
    """
    if "row_stack" not in vars(np):
        vars(np)["row_stack"] = np.vstack
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 'generic' unit for NumPy timedelta")
        from numba import cuda as numba_cuda
    return numba_cuda


cuda: Any = _import_cuda()

THREADS = 256  # per block
MAX_BLOCKS = 4096  # beyond this a thread walks on by the grid's stride
WARP = 32
WARPS = THREADS // WARP  # in a block
ALL_LANES, DISTANCES = 0xFFFFFFFF, (16, 8, 4, 2, 1)  # of a warp that adds up by shuffles


@cache
def why_not_cuda() -> str | None:
    """Return what is missing to run CUDA kernels, None if nothing is."""
    if cast("Any", config).ENABLE_CUDASIM:
        return None
    if not _has_device():
        return "no_hardware: no CUDA device that numba can use"
    return why_not_libraries()


def why_not_libraries() -> str | None:
    """Return which of the libraries is missing that compile for a device, None if none is."""
    missing = [name for name, is_there in LIBRARIES.items() if not is_there()]
    if not missing:
        return None
    return f"{NO_LIBRARY}: no {', no '.join(missing)}; pip install 'numba-cuda[cu13]' brings them"


def _has_device() -> bool:
    from numba.cuda.cudadrv import driver, error

    try:
        return bool(driver.driver.is_available)
    except error.CudaSupportError:
        return False


def _has_nvvm() -> bool:
    from numba.cuda.cudadrv import nvvm

    return bool(nvvm.is_available())


def _has_nvjitlink() -> bool:
    from numba.cuda.cudadrv import driver

    return bool(cast("Any", driver)._have_nvjitlink())  # noqa: SLF001  as the dispatcher asks


NO_LIBRARY = "unsupported: numba cannot compile for CUDA"
LIBRARIES: Mapping[str, Callable[[], bool]] = {"libnvvm": _has_nvvm, "nvJitLink": _has_nvjitlink}


def on_cuda(bind: Callable[..., Bound], *codes: DeviceCode, simulated: bool = True) -> Variant:
    """Make the variant that ``bind`` binds on the device, of these kernels."""
    return Variant(
        bind=bind,
        why_not=why_not_cuda,
        device="cuda",
        cpus=None,
        codes=codes,
        simulated=simulated,
    )


def by_element(
    kernel: Any,
    *,
    per_thread: int = 1,
    shape: tuple[int, int] | None = None,
    instructions: tuple[str, ...] = (),
) -> Variant:
    """Make the variant whose CUDA kernel walks through ``out`` by the size of the grid.

    The kernel gets the inputs and ``out`` on the device; ``per_thread`` elements each make a grid,
    where it has no ``shape`` of its own (blocks, threads of each).
    """

    def bind(*arguments: Any) -> Bound:
        copied = tuple(map(to_device, arguments))
        blocks, threads = shape or (blocks_for(-(-arguments[-1].size // per_thread)), THREADS)
        return bind_cuda(kernel, blocks, copied[-1], *copied, threads=threads)

    return on_cuda(bind, DeviceCode(function=kernel, instructions=instructions))


@cuda.jit(device=True)
def add_up_block(own: float, sums: Array) -> None:
    """Leave the sum over a block's threads in the block's place: by halves of them."""
    shared = cuda.shared.array(THREADS, np.float64)
    shared[cuda.threadIdx.x] = own
    cuda.syncthreads()
    width = THREADS // 2
    while width > 0:
        if cuda.threadIdx.x < width:
            shared[cuda.threadIdx.x] += shared[cuda.threadIdx.x + width]
        cuda.syncthreads()
        width //= 2
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = shared[0]


@cuda.jit
def add_up(sums: Array, out: Array) -> None:
    """Add up the blocks' sums in one block."""
    own = 0.0
    for i in range(cuda.threadIdx.x, sums.size, THREADS):
        own += sums[i]
    add_up_block(own, out)


ADD_UP = DeviceCode(function=add_up, signature="void(float64[::1], float64[::1])")


def sum_by_blocks(
    kernel: Any, signature: str, *, per_thread: int = 1, instructions: tuple[str, ...] = ()
) -> Variant:
    """Make the variant whose CUDA kernel leaves a sum for each block; a second adds them up."""

    def bind(*arguments: Any) -> Bound:
        *inputs, out = map(to_device, arguments)
        blocks = blocks_for(-(-inputs[0].size // per_thread))
        sums = to_device(np.zeros(blocks))
        bound = bind_cuda(kernel, blocks, out, *inputs, sums)
        finish = add_up[1, THREADS]
        return replace(bound, run=lambda: (bound.run(), finish(sums, out)))

    code = DeviceCode(function=kernel, signature=signature, instructions=instructions)
    return on_cuda(bind, code, ADD_UP)


def blocks_for(count: int) -> int:
    """Return how many blocks give one thread to each of ``count`` elements, up to a full grid."""
    return max(1, min(MAX_BLOCKS, -(-count // THREADS)))


def bind_cuda(
    kernel: Any,
    blocks: int | tuple[int, int],
    out: Any,
    *arguments: Any,
    threads: int | tuple[int, int] = THREADS,
) -> Bound:
    """Bind a CUDA kernel to arguments on the device; a run leaves its result in ``out`` there."""
    launch = kernel[blocks, threads]
    run = partial(launch, *arguments)
    return on_device(run, out, blocks=blocks, threads_per_block=threads)


def on_device(run: Callable[[], object], out: Any, **shape: Any) -> Bound:
    """Bind what leaves its result on the device, with what is known of its launches."""
    return Bound(
        run=run,
        result=out.copy_to_host,
        overwrite=lambda values: out.copy_to_device(np.ascontiguousarray(values)),
        effective=lambda: {**shape, "gpu": device_name()},
    )


def device_name() -> str:
    """Return the name of the current device."""
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def to_device(argument: Any) -> Any:
    """Copy an array to the device, outside any timing; a number goes along with each launch."""
    is_array = isinstance(argument, np.ndarray)
    return cuda.to_device(np.ascontiguousarray(argument)) if is_array else argument


def cuda_clock() -> CudaClock:
    """Return a clock by CUDA events on the stream that kernels are launched on."""
    return CudaClock(cuda.event, synchronize=cuda.synchronize, stream=cuda.default_stream)
