"""Histogram of bytes in 256 bins: the kernel whose writes depend on the data.

A counter that was just written must be written again before it can be read, so equal neighbours
wait for each other. Bytes that share a 64-bit word count in tables of their own, and do not.
"""

from dataclasses import replace

import numpy as np
from numba import prange

from hpml_kernels.checks import check_array
from hpml_kernels.cpu import bind_numba, in_numba, in_parallel, interpreted, jit
from hpml_kernels.cuda import bind_cuda, blocks_for, cuda, on_cuda, to_device
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.thread_chunks import bind_chunks, chunk_bounds, count_work
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Work

BINS = 256
WORD_BYTES = 8
LOW_BYTE, STEP = np.uint64(0xFF), np.uint64(8)


def make_inputs(size: int, generator: np.random.Generator) -> Inputs:
    """Draw ``size`` bytes."""
    return (generator.integers(BINS, size=size, dtype=np.uint8),)


def check(values: Array) -> None:
    """Ask for an array of bytes."""
    check_array("values", values, np.uint8)


def reference(values: Array) -> Array:
    """Count with numpy."""
    return np.bincount(values, minlength=BINS)


def histogram_loop(values: Array, out: Array) -> None:
    """Count one value after the other."""
    out[:] = 0
    for value in values:
        out[value] += 1


@jit()
def count_words(words: Array, tables: Array) -> None:
    """Count the bytes of 64-bit words, each place of a byte in its own table."""
    for i in range(np.uintp(words.size)):
        word = words[i]
        for place in range(WORD_BYTES):
            tables[place, (word >> (np.uint64(place) * STEP)) & LOW_BYTE] += 1


@jit()
def histogram_serial(words: Array, rest: Array, out: Array) -> None:
    """Count on one core."""
    tables = np.zeros((WORD_BYTES, BINS), np.int64)
    count_words(words, tables)
    out[:] = tables.sum(axis=0)
    for value in rest:
        out[value] += 1


@jit(parallel=True)
def histogram_parallel(words: Array, rest: Array, tally: Array, out: Array) -> None:
    """Count on all cores, each in tables of its own."""
    threads = tally.shape[0]
    tables = np.zeros((threads, WORD_BYTES, BINS), np.int64)
    for chunk in prange(threads):
        first, last = chunk_bounds(np.uintp(words.size), threads, chunk)
        count_words(words[first:last], tables[chunk])
        count_work(tally, last - first)
    out[:] = tables.sum(axis=0).sum(axis=0)
    for value in rest:
        out[value] += 1


def split(values: Array) -> tuple[Array, Array]:
    """Return the bytes as 64-bit words, and those that are left: all, where they have strides."""
    whole = values.size // WORD_BYTES * WORD_BYTES if values.flags.c_contiguous else 0
    return values[:whole].view(np.uint64) if whole else np.empty(0, np.uint64), values[whole:]


def bind_serial(values: Array, out: Array) -> Bound:
    """Bind the serial function to words."""
    return bind_numba(histogram_serial, *split(values), out)


def bind_parallel(values: Array, out: Array) -> Bound:
    """Bind the parallel function to words."""
    words, rest = split(values)
    return bind_chunks(histogram_parallel, words, rest, out, units=words.size)


@cuda.jit
def histogram_cuda(values: Array, out: Array) -> None:
    """Count on the device, each value by an atomic addition to device memory."""
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        cuda.atomic.add(out, values[i], 1)


@cuda.jit
def histogram_shared_cuda(words: Array, rest: Array, out: Array) -> None:
    """Count on the device: each block in shared memory first, from 64-bit loads."""
    table = cuda.shared.array(BINS, np.uint32)
    for value in range(cuda.threadIdx.x, BINS, cuda.blockDim.x):
        table[value] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), words.size, cuda.gridsize(1)):
        word = words[i]
        for place in range(WORD_BYTES):
            cuda.atomic.add(table, (word >> (np.uint64(place) * STEP)) & LOW_BYTE, 1)
    for i in range(cuda.grid(1), rest.size, cuda.gridsize(1)):
        cuda.atomic.add(table, rest[i], 1)
    cuda.syncthreads()
    for value in range(cuda.threadIdx.x, BINS, cuda.blockDim.x):
        cuda.atomic.add(out, value, table[value])


def _bind_device(kernel: object, inputs: tuple[Array, ...], out: Array, threads: int) -> Bound:
    on_device = [to_device(one) for one in (*inputs, out)]
    zeros = to_device(np.zeros_like(out))
    bound = bind_cuda(kernel, blocks_for(threads), on_device[-1], *on_device)

    def run() -> None:
        on_device[-1].copy_to_device(zeros)
        bound.run()

    return replace(bound, run=run)


def bind_naive(values: Array, out: Array) -> Bound:
    """Bind the kernel that counts in device memory."""
    return _bind_device(histogram_cuda, (values,), out, values.size)


def bind_shared(values: Array, out: Array) -> Bound:
    """Bind the kernel that counts in shared memory."""
    return _bind_device(histogram_shared_cuda, split(values), out, values.size // WORD_BYTES)


KERNEL = Kernel(
    name="histogram",
    sizes={"tiny": 100_000, "small": 2**24, "paper": 2**26},
    make_inputs=make_inputs,
    make_out=lambda _values: np.zeros(BINS, np.int64),
    check=check,
    reference=reference,
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=size, integer_ops=size),
    limit="read",
    variants={
        "python": interpreted(histogram_loop),
        **on_numpy(lambda values, out: np.copyto(out, np.bincount(values, minlength=BINS))),
        **on_torch(
            lambda torch, values, out: out.copy_(torch.bincount(values, minlength=BINS)),
        ),
        **on_cupy(
            lambda cupy, values, out: cupy.copyto(out, cupy.bincount(values, minlength=BINS))
        ),
        "numba": replace(in_numba(histogram_serial), bind=bind_serial),
        "numba_parallel": replace(in_parallel(histogram_parallel), bind=bind_parallel),
        "cuda_naive": on_cuda(
            bind_naive,
            DeviceCode(
                function=histogram_cuda,
                signature="void(uint8[::1], int64[::1])",
                instructions=("atom.global.add.u64",),
            ),
        ),
        "cuda_shared": on_cuda(
            bind_shared,
            DeviceCode(
                function=histogram_shared_cuda,
                signature="void(uint64[::1], uint8[::1], int64[::1])",
                instructions=("ld.global.u64", "atom.shared.add.u32"),
            ),
        ),
    },
)
