"""Parallel variants whose loop is over parts, one for each thread."""

from dataclasses import replace
from typing import Any

from numba import get_num_threads

from hpml_kernels.cpu import bind_numba, in_parallel
from hpml_kernels.types import Bound, Variant


def in_parts(function: Any) -> Variant:
    """Make the variant that calls ``function(*inputs, threads, out)``, compiled for all cores."""

    def bind(*arguments: Any) -> Bound:
        *inputs, out = arguments
        return bind_numba(function, *inputs, get_num_threads(), out)

    return replace(in_parallel(function), bind=bind)
