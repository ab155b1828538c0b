"""What it costs to call a kernel that does next to nothing: it writes one number."""

import numpy as np
from numba import get_num_threads, prange

from hpml_kernels.checks import check_count
from hpml_kernels.cpu import in_numba, interpreted, jit, scalar_out
from hpml_kernels.cuda import by_element, cuda
from hpml_kernels.peers import on_cupy, on_numpy, on_torch
from hpml_kernels.thread_chunks import count_work, in_chunks
from hpml_kernels.types import Array, Inputs, Kernel, Tolerance, Work


def make_inputs(_size: int, generator: np.random.Generator) -> Inputs:
    """Draw the number: there is one, whatever the size."""
    return (int(generator.integers(1, 2**31)),)


def write(number: int, out: Array) -> None:
    """Write the number."""
    out[0] = number


@jit(parallel=True)
def write_parallel(number: int, tally: Array, out: Array) -> None:
    """Start all threads; the first writes."""
    for chunk in prange(tally.shape[0]):
        if chunk == 0:
            out[0] = number
        count_work(tally, 1)


@cuda.jit
def write_cuda(number: int, out: Array) -> None:
    """Write from the first thread."""
    if cuda.grid(1) == 0:
        out[0] = number


KERNEL = Kernel(
    name="launch",
    sizes={"tiny": 1, "small": 1, "paper": 1},
    make_inputs=make_inputs,
    make_out=lambda _number: scalar_out(np.int64),
    check=lambda number: check_count("number", number, least=0),
    reference=lambda number: np.array([number]),
    tolerance=Tolerance(),
    work=lambda _size: Work(bytes_moved=8),
    limit="launch",
    variants={
        "python": interpreted(write),
        **on_numpy(lambda number, out: out.fill(number)),
        **on_torch(lambda _torch, number, out: out.fill_(number)),
        **on_cupy(lambda _cupy, number, out: out.fill(number)),
        "numba": in_numba(jit()(write)),
        "numba_parallel": in_chunks(write_parallel, lambda *_: get_num_threads()),
        "cuda": by_element(write_cuda),
    },
)
