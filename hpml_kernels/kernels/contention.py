"""Atomic additions to few counters or many: how threads that want the same address wait.

Each of ``additions`` goes to the next counter in turn; the result is the total over all. On the
CPU, where numba has no atomic addition, one core counts in as many counters as CUDA has at most,
and so do the peers.
"""

from typing import Any

import numpy as np

from hpml_kernels.checks import check_count
from hpml_kernels.cpu import in_numba, interpreted, jit, scalar_out
from hpml_kernels.cuda import bind_cuda, blocks_for, cuda, on_cuda, to_device
from hpml_kernels.peers import on_numpy, on_torch
from hpml_kernels.types import Array, Bound, DeviceCode, Inputs, Kernel, Tolerance, Variant, Work

COUNTERS = 1, 32, 1024, 32_768  # an address for all, for each lane, for each thread of a block ...


def make_inputs(size: int, _generator: np.random.Generator) -> Inputs:
    """Take the number of additions: nothing is drawn."""
    return (size,)


def count(additions: int, out: Array) -> None:
    """Add one after the other."""
    counters = np.zeros(COUNTERS[-1], np.int64)
    for i in range(additions):
        counters[i % counters.size] += 1
    out[0] = counters.sum()


def count_numpy(additions: int, out: Array) -> None:
    """Add by index, without buffering: each index counts as often as it is named."""
    counters = np.zeros(COUNTERS[-1], np.int64)
    np.add.at(counters, np.arange(additions) % counters.size, 1)
    out[0] = counters.sum()


def count_torch(torch: Any, additions: int, out: Any) -> None:
    """Add by index, where ``out`` lies."""
    counters = torch.zeros(COUNTERS[-1], dtype=out.dtype, device=out.device)
    at = torch.arange(additions, device=out.device).remainder_(len(counters))
    out.copy_(counters.index_add_(0, at, torch.ones_like(at)).sum())


@cuda.jit
def count_cuda(additions: int, counters: Array) -> None:
    """Add atomically, each thread by the size of the grid; neighbours take neighbours."""
    for i in range(cuda.grid(1), additions, cuda.gridsize(1)):
        cuda.atomic.add(counters, i % counters.size, 1)


def on_counters(number: int) -> Variant:
    """Make the variant that has this many counters."""

    def bind(additions: int, _out: Array) -> Bound:
        counters, zeros = (to_device(np.zeros(number, np.int64)) for _ in range(2))

        def result() -> Array:
            total: Array = counters.copy_to_host().sum(keepdims=True)
            return total

        bound = bind_cuda(count_cuda, blocks_for(additions), counters, additions, counters)

        def run() -> None:
            counters.copy_to_device(zeros)
            bound.run()

        return Bound(
            run=run,
            result=result,
            overwrite=lambda values: bound.overwrite(np.full(number, values[0])),
            effective=lambda: {**bound.effective(), "counters": number},
        )

    code = DeviceCode(
        function=count_cuda,
        signature="void(int64, int64[::1])",
        instructions=("atom.global.add.u64",),
    )
    return on_cuda(bind, code)


KERNEL = Kernel(
    name="contention",
    sizes={"tiny": 100_000, "small": 2**20, "paper": 2**24},
    make_inputs=make_inputs,
    make_out=lambda _additions: scalar_out(np.int64),
    check=lambda additions: check_count("additions", additions),
    reference=lambda additions: np.array([additions]),
    tolerance=Tolerance(),
    work=lambda size: Work(bytes_moved=0, integer_ops=size),
    limit="integer",
    variants={
        "python": interpreted(count),
        **on_numpy(count_numpy),
        **on_torch(count_torch),
        "numba": in_numba(jit()(count)),
        **{f"cuda_{number}": on_counters(number) for number in COUNTERS},
    },
)
