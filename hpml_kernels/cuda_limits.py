"""What a CUDA device can do at best: its memory's copy bandwidth, the way to it, launches, FMAs.

Not run on a GPU yet.
"""

from collections.abc import Callable, Mapping

import numpy as np

from hpml_kernels.cuda import THREADS, cuda, to_device
from hpml_kernels.limits import Probe
from hpml_kernels.types import Array, Limit, Work

FMA_ROUNDS = 4096
CHAINS = 4  # side by side in a thread
BLOCKS = 4096


@cuda.jit
def nothing() -> None:
    """Do nothing: what is left is the launch."""


@cuda.jit
def multiply_add(out: Array) -> None:
    """Keep four chains of fused multiply-adds going in each thread."""
    x, y = np.float32(0.5), np.float32(cuda.threadIdx.x)
    a, b, c, d = y, y + x, y - x, x
    for _ in range(FMA_ROUNDS):
        a, b, c, d = a * x + y, b * x + y, c * x + y, d * x + y
    out[cuda.grid(1)] = a + b + c + d


def cuda_probe(limit: Limit, work: Work) -> Probe:
    """Return the way to a limit; every bandwidth of the device's memory is held to a copy's."""
    return COMPUTING.get(limit, _copy_probe)(work)


def _copy_probe(work: Work) -> Probe:
    source = to_device(np.ones(max(1, work.bytes_moved // 8), np.float32))
    target = cuda.device_array_like(source)
    return Probe(
        name="device memory copy",
        run=lambda: target.copy_to_device(source),
        amount=2 * source.nbytes,
    )


def _pcie_probe(work: Work) -> Probe:
    host = cuda.pinned_array(max(1, work.bytes_moved // 4), np.float32)
    target = cuda.device_array_like(host)
    return Probe(
        name="copy to the device", run=lambda: target.copy_to_device(host), amount=host.nbytes
    )


def _launch_probe(_work: Work) -> Probe:
    launch = nothing[1, 1]
    return Probe(name="launch", run=launch, amount=1)


def _fma_probe(_work: Work) -> Probe:
    out = to_device(np.zeros(BLOCKS * THREADS, np.float32))
    launch = multiply_add[BLOCKS, THREADS]
    amount = 2 * CHAINS * FMA_ROUNDS * BLOCKS * THREADS
    return Probe(name="fma", run=lambda: launch(out), amount=amount)


COMPUTING: Mapping[Limit, Callable[[Work], Probe]] = {
    "pcie": _pcie_probe,
    "launch": _launch_probe,
    "fma": _fma_probe,
}
