"""What a CUDA device can do at best: copies in its memory and to it, launches, arithmetic.

The kernels count as the loops of :mod:`hpml_kernels.roofline.probes` do. Not run on a GPU yet.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hpml_kernels.cuda import THREADS, cuda, to_device
from hpml_kernels.roofline.probes import HALF_BITS, MULTIPLIER, PRODUCTS, WORD_OPS, Probe
from hpml_kernels.simd.circle_test import hits_in
from hpml_kernels.types import Array, Limit, Work

ROUNDS = np.int32(4096)
CHAINS = 4  # side by side in a thread
BLOCKS = 4096
NONE, FOUR, UNROLLED = np.int32(0), np.int32(4), np.int32(64)


@cuda.jit
def nothing() -> None:
    """Do nothing: what is left is the launch."""


# numba counts a ``range`` in 64 bits, which took more instructions than what was counted. So the
# rounds are written out, by functions that call each other, in loops that count in 32 bits.


@cuda.jit(device=True)
def add_round(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:  # noqa: PLR0913
    """Take four chains of fused multiply-adds on by one."""
    return a * x + y, b * x + y, c * x + y, d * x + y


@cuda.jit(device=True)
def add_4_rounds(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:  # noqa: PLR0913
    """Take the chains on by four."""
    a, b, c, d = add_round(a, b, c, d, x, y)
    a, b, c, d = add_round(a, b, c, d, x, y)
    a, b, c, d = add_round(a, b, c, d, x, y)
    return add_round(a, b, c, d, x, y)


@cuda.jit(device=True)
def add_16_rounds(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:  # noqa: PLR0913
    """Take the chains on by sixteen."""
    a, b, c, d = add_4_rounds(a, b, c, d, x, y)
    a, b, c, d = add_4_rounds(a, b, c, d, x, y)
    a, b, c, d = add_4_rounds(a, b, c, d, x, y)
    return add_4_rounds(a, b, c, d, x, y)


@cuda.jit
def multiply_add(out: Array) -> None:
    """Keep four chains of fused multiply-adds going in each thread."""
    x, y = np.float32(0.5), np.float32(cuda.threadIdx.x)
    a, b, c, d = y, y + x, y - x, x
    left = ROUNDS
    while left > NONE:
        a, b, c, d = add_16_rounds(a, b, c, d, x, y)
        a, b, c, d = add_16_rounds(a, b, c, d, x, y)
        a, b, c, d = add_16_rounds(a, b, c, d, x, y)
        a, b, c, d = add_16_rounds(a, b, c, d, x, y)
        left = np.int32(left - UNROLLED)
    out[cuda.grid(1)] = a + b + c + d


@cuda.jit
def count_in_circle(out: Array) -> None:
    """Count in each thread of one word after the other how many of its points are hits."""
    word, count = np.uint64(cuda.grid(1)) * MULTIPLIER, np.uint64(0)
    left = ROUNDS
    while left > NONE:
        second = word + MULTIPLIER
        third = second + MULTIPLIER
        word = third + MULTIPLIER
        count += hits_in(second) + hits_in(third) + hits_in(word)
        word = word + MULTIPLIER
        count += hits_in(word)
        left = np.int32(left - FOUR)
    out[cuda.grid(1)] = count


@cuda.jit(device=True)
def multiply_upper_half(word: Any) -> Any:
    """Multiply the upper 32 bits to 64."""
    return np.uint64(np.uint32(word >> HALF_BITS)) * MULTIPLIER


@cuda.jit(device=True)
def multiply_round(word: Any) -> Any:
    """Multiply ``PRODUCTS`` times, each product's upper half once more; both halves count."""
    word = multiply_upper_half(multiply_upper_half(multiply_upper_half(multiply_upper_half(word))))
    word = multiply_upper_half(multiply_upper_half(multiply_upper_half(multiply_upper_half(word))))
    return word | (word << HALF_BITS)


@cuda.jit
def multiply(out: Array) -> None:
    """Multiply 32-bit numbers in each thread."""
    word = np.uint64(cuda.grid(1)) * MULTIPLIER
    left = ROUNDS
    while left > NONE:
        word = multiply_round(multiply_round(multiply_round(multiply_round(word))))
        left = np.int32(left - FOUR)
    out[cuda.grid(1)] = word


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
    return _in_every_thread("fma", multiply_add, np.float32, 2 * CHAINS * int(ROUNDS))


def _integer_probe(_work: Work) -> Probe:
    return _in_every_thread("integer", count_in_circle, np.uint64, WORD_OPS * int(ROUNDS))


def _multiply_probe(_work: Work) -> Probe:
    return _in_every_thread("multiply", multiply, np.uint64, PRODUCTS * int(ROUNDS))


def _in_every_thread(name: str, kernel: Any, dtype: Any, operations: int) -> Probe:
    out = to_device(np.zeros(BLOCKS * THREADS, dtype))
    launch = kernel[BLOCKS, THREADS]
    return Probe(name=name, run=lambda: launch(out), amount=operations * BLOCKS * THREADS)


COMPUTING: Mapping[Limit, Callable[[Work], Probe]] = {
    "pcie": _pcie_probe,
    "launch": _launch_probe,
    "fma": _fma_probe,
    "integer": _integer_probe,
    "multiply": _multiply_probe,
}
