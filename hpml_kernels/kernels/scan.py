"""Running sum of an int64 array: each result needs all before it.

In parallel each core sums its chunk of a block, the sums of the chunks before it are where a chunk
starts, and then each runs through its chunk again, while that is still in its cache. Whole numbers
wrap alike everywhere, so all variants agree bit for bit.

On CUDA each block scans its part (W. Hillis, G. Steele, "Data Parallel Algorithms", CACM 29, 1986),
the host adds up the blocks' totals, and a second kernel adds them on.
"""

from dataclasses import replace

import numpy as np
from numba import prange

from hpml_kernels.checks import check_array
from hpml_kernels.cpu import in_numba, interpreted, jit
from hpml_kernels.cuda import THREADS, bind_cuda, cuda, on_cuda, to_device
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.thread_chunks import chunk_bounds, count_work, in_chunks
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Work

LARGEST = 1000
CHUNK = 2**17  # numbers that a core takes of a block: 1 MiB


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw ``size`` whole numbers of either sign."""
    return (generator.integers(-LARGEST, LARGEST, size=size),)


def check(x: Array) -> None:
    """Ask for an int64 array."""
    check_array("x", x, np.int64)


def reference(x: Array) -> Array:
    """Add up with numpy."""
    return np.cumsum(x)


def scan_loop(x: Array, out: Array) -> None:
    """Add one number after the other."""
    total = 0
    for i in range(out.size):
        total += int(x[i])
        out[i] = total


@jit()
def scan_from(start: int, x: Array, out: Array) -> None:
    """Run through a chunk."""
    total = start
    for i in range(np.uintp(out.size)):
        total += x[i]
        out[i] = total


@jit()
def scan_serial(x: Array, out: Array) -> None:
    """Add on one core."""
    scan_from(0, x, out)


@jit()
def total_of(x: Array) -> int:
    """Add up a chunk: additions of whole numbers may be done side by side."""
    total = 0
    for i in range(np.uintp(x.size)):
        total += x[i]
    return total


@jit(parallel=True)
def scan_parallel(x: Array, tally: Array, out: Array) -> None:
    """Add on all cores, block by block."""
    threads = tally.shape[0]
    starts = np.zeros(threads + 1, np.int64)
    for begin in range(0, out.size, threads * CHUNK):
        block, into = x[begin : begin + threads * CHUNK], out[begin : begin + threads * CHUNK]
        for chunk in prange(threads):
            first, last = chunk_bounds(np.uintp(into.size), threads, chunk)
            starts[chunk + 1] = total_of(block[first:last])
        for chunk in range(threads):
            starts[chunk + 1] += starts[chunk]
        for chunk in prange(threads):
            first, last = chunk_bounds(np.uintp(into.size), threads, chunk)
            scan_from(starts[chunk], block[first:last], into[first:last])
            count_work(tally, last - first)
        starts[0] = starts[threads]


@cuda.jit
def scan_block_cuda(x: Array, totals: Array, out: Array) -> None:
    """Scan each block's part on the device: by steps that double, in two rows taken in turn."""
    rows = cuda.shared.array((2, THREADS), np.int64)
    i, lane = cuda.grid(1), cuda.threadIdx.x
    rows[0, lane] = x[i] if i < x.size else 0
    source, distance = 0, 1
    while distance < THREADS:
        cuda.syncthreads()
        before = rows[source, lane - distance] if lane >= distance else 0
        rows[1 - source, lane] = rows[source, lane] + before
        source, distance = 1 - source, 2 * distance
    if i < x.size:
        out[i] = rows[source, lane]
    if lane == THREADS - 1:
        totals[cuda.blockIdx.x] = rows[source, lane]


@cuda.jit
def scan_add_cuda(starts: Array, out: Array) -> None:
    """Add where each block starts."""
    i = cuda.grid(1)
    if i < out.size:
        out[i] += starts[cuda.blockIdx.x]


def bind_device(x: Array, out: Array) -> Bound:
    """Bind the two kernels, with the host's sum between them."""
    blocks = -(-x.size // THREADS)
    on_device, totals, result = to_device(x), to_device(np.zeros(blocks, np.int64)), to_device(out)
    bound = bind_cuda(scan_block_cuda, blocks, result, on_device, totals, result)

    def run() -> None:
        bound.run()
        of_blocks = totals.copy_to_host()
        starts = to_device(np.cumsum(of_blocks) - of_blocks)
        scan_add_cuda[blocks, THREADS](starts, result)

    return replace(bound, run=run)


KERNEL = Kernel(
    name="scan",
    sizes={"tiny": 100_000, "small": 2**23, "paper": 2**25},
    make_inputs=make_inputs,
    make_out=np.empty_like,
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=16 * size, integer_ops=size),
    limit="copy",
    variants={
        "python": interpreted(scan_loop),
        **on_numpy(lambda x, out: np.cumsum(x, out=out)),
        **on_torch(lambda torch, x, out: torch.cumsum(x, 0, out=out)),
        **on_cupy(lambda cupy, x, out: cupy.cumsum(x, out=out)),
        "numba": in_numba(scan_serial),
        "numba_parallel": in_chunks(scan_parallel),
        "cuda_shared": on_cuda(
            bind_device,
            DeviceCode(
                function=scan_block_cuda,
                signature="void(int64[::1], int64[::1], int64[::1])",
                instructions=("ld.shared.u64", "bar.sync"),
            ),
            DeviceCode(function=scan_add_cuda, signature="void(int64[::1], int64[::1])"),
        ),
    },
)
