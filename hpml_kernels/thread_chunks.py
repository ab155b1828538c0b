"""Parallel loops over chunks: each thread gets one contiguous chunk of the work."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import get_num_threads
from numba.extending import register_jitable

from hpml_kernels.cpu import bind_numba, in_parallel
from hpml_kernels.types import Bound, Variant

ONE = np.uintp(1)


@register_jitable
def chunk_bounds(size: Any, chunks: int, chunk: int) -> Any:
    """Return the first element of a chunk of a loop, and the one after its last."""
    at, of = np.uintp(chunk), np.uintp(chunks)
    return size * at // of, size * (at + ONE) // of


def in_chunks(function: Any) -> Variant:
    """Make the variant that calls ``function(*inputs, threads, out)``, compiled for all cores."""

    def bind(*arguments: Any) -> Bound:
        *inputs, out = arguments
        return bind_numba(function, *inputs, get_num_threads(), out)

    return replace(in_parallel(function), bind=bind)
