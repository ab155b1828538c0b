"""Loops over long arrays: elementwise operations and sums, on one core and on all, in numba.

An operation is a plain function that ``register_jitable`` makes callable from compiled code. It is
written once and gets numbers or whole vectors (:mod:`hpml_kernels.simd.vectors`), so ``+`` and
``*`` are all that it may use. What does not fit the last cache is written past the caches, because
an ordinary store first reads the line that it is about to overwrite. Arrays need not be aligned,
and where one has strides the loop goes element by element.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numba import prange
from numba.core import types
from numba.extending import overload, register_jitable

from hpml_kernels.cpu import in_numba, in_parallel, interpreted, jit, last_cache_bytes
from hpml_kernels.simd.vectors import BYTES, load, splat, store, stream, total
from hpml_kernels.thread_chunks import bind_chunks, chunk_bounds, count_nothing, count_work
from hpml_kernels.types import Array, Bound, Variant

Operation = Callable[..., Any]

LANES = np.uintp(16)  # of float32, in a vector
BLOCK = np.uintp(2048)  # elements in each place that are summed in float32; the sums in float64
STEP, VECTORS = np.uintp(64), np.uintp(4)  # elements summed side by side, and vectors of them
ALIGNMENT, NOTHING, ZERO = np.uintp(BYTES), np.uintp(0), np.float32(0)


def elementwise(operation: Operation, *, updates: bool = False) -> Mapping[str, Variant]:
    """Make the variants of ``out[i] = operation(*inputs[i])``; a number is the same for all.

    ``updates``: ``out`` holds the last input, and is updated where it lies.
    """
    serial, parallel = (_loop(operation, parallel=one) for one in (False, True))
    return {
        "python": interpreted(_interpreted(operation, updates=updates)),
        "numba": replace(in_numba(serial), bind=_binder(serial, parallel=False, updates=updates)),
        "numba_parallel": replace(
            in_parallel(parallel), bind=_binder(parallel, parallel=True, updates=updates)
        ),
    }


def _interpreted(operation: Operation, *, updates: bool) -> Callable[..., None]:
    def loop(*arguments: Any) -> None:
        sources, out = _split(arguments, updates=updates)
        for i in range(out.size):
            out[i] = operation(*(one if np.isscalar(one) else one[i] for one in sources))

    return loop


def _binder(function: Any, *, parallel: bool, updates: bool) -> Callable[..., Bound]:
    def bind(*arguments: Any) -> Bound:
        sources, out = _split(arguments, updates=updates)
        past_caches = not updates and _is_beyond_caches(arguments)
        sources = tuple(one if isinstance(one, np.ndarray) else np.float32(one) for one in sources)
        bound = bind_chunks(function, sources, past_caches, out, units=out.size, parallel=parallel)
        return replace(bound, effective=lambda: {**bound.effective(), "past_caches": past_caches})

    return bind


def _split(arguments: tuple[Any, ...], *, updates: bool) -> tuple[tuple[Any, ...], Array]:
    """Return what the operation is given and ``out``, which may be the last of it."""
    *inputs, out = arguments
    return (*inputs[:-1], out) if updates else tuple(inputs), out


def _is_beyond_caches(arguments: tuple[Any, ...]) -> bool:
    return sum(getattr(one, "nbytes", 0) for one in arguments) > last_cache_bytes()


def _loop(operation: Operation, *, parallel: bool) -> Any:
    count = count_work if parallel else count_nothing

    def loop(sources: Any, past_caches: bool, tally: Array, out: Array) -> None:  # noqa: FBT001
        for chunk in prange(tally.shape[0]):
            first, last = chunk_bounds(np.uintp(out.size), tally.shape[0], chunk)
            count(tally, last - first)
            begin = end = last  # of what is done by vectors
            if _is_contiguous(sources) and _is_contiguous((out,)):
                begin = first_aligned(out, first, last)
                end = begin + (last - begin) // LANES * LANES
            for i in range(first, begin):
                out[i] = operation(*_numbers(sources, i))
            if past_caches:
                for i in range(begin, end, LANES):
                    stream(out, i, operation(*_lanes(sources, i)))
            else:
                for i in range(begin, end, LANES):
                    store(out, i, operation(*_lanes(sources, i)))
            for i in range(end, last):
                out[i] = operation(*_numbers(sources, i))

    return jit(parallel=parallel, error_model="numpy")(loop)


def summing(operation: Operation) -> Mapping[str, Variant]:
    """Make the variants of ``out[0] = sum over i of operation(*inputs[i])``, of one or two arrays.

    Blocks are summed in float32, in 64 sums side by side, the last 16 of them in float64, which
    costs nothing beside reading the memory. No sum grows so large that it swallows what is added
    to it.
    """
    serial, parallel = (_sum(operation, parallel=one) for one in (False, True))

    def binder(function: Any, *, parallel: bool) -> Callable[..., Bound]:
        return lambda *arguments: bind_chunks(
            function, arguments[:-1], arguments[-1], units=arguments[0].size, parallel=parallel
        )

    return {
        "python": interpreted(_interpreted_sum(operation)),
        "numba": replace(in_numba(serial), bind=binder(serial, parallel=False)),
        "numba_parallel": replace(in_parallel(parallel), bind=binder(parallel, parallel=True)),
    }


def _interpreted_sum(operation: Operation) -> Callable[..., None]:
    def loop(*arguments: Any) -> None:
        *sources, out = arguments
        out[0] = sum(operation(*map(float, values)) for values in zip(*sources, strict=True))

    return loop


def _sum(operation: Operation, *, parallel: bool) -> Any:
    count = count_work if parallel else count_nothing

    def add_up(sources: Any, tally: Array, out: Array) -> None:
        sums = np.zeros(tally.shape[0])
        for chunk in prange(tally.shape[0]):
            first, last = chunk_bounds(np.uintp(sources[0].size), tally.shape[0], chunk)
            count(tally, last - first)
            done = (last - first) // STEP * STEP if _is_contiguous(sources) else NOTHING
            # Memory is read faster in four places at once than in one or in eight.
            side = LANES * np.uintp(len(sources))
            apart = done // STEP * side
            near, far = (apart, apart + apart) if len(sources) == 1 else (LANES, apart)
            whole = 0.0
            for block in range(first, first + apart, BLOCK):
                a = b = c = d = splat(ZERO)
                for i in range(block, min(block + BLOCK, first + apart), side):
                    a = a + operation(*_lanes(sources, i))
                    b = b + operation(*_lanes(sources, i + near))
                    c = c + operation(*_lanes(sources, i + far))
                    d = d + operation(*_lanes(sources, i + far + near))
                whole += total((a + b) + (c + d))
            end = first + done
            for i in range(end, last):
                whole += np.float64(operation(*_numbers(sources, i)))
            sums[chunk] = whole
        out[0] = sums.sum()

    return jit(parallel=parallel, error_model="numpy")(add_up)


@register_jitable
def first_aligned(out: Array, first: Any, last: Any) -> Any:
    """Return the first element whose address is a multiple of 64, ``last`` if none comes before."""
    width = np.uintp(out.itemsize)
    beyond = (np.uintp(out.ctypes.data) + first * width) % ALIGNMENT
    if beyond % width:  # not even its elements are aligned
        return last
    return min(last, first + (ALIGNMENT - beyond) % ALIGNMENT // width)


def _is_contiguous(arrays: Any) -> Any:
    """Tell compiled code whether all arrays are; their types say it."""


def _numbers(sources: Any, i: Any) -> Any:
    """Give compiled code an operation's arguments for element ``i``."""


def _lanes(sources: Any, i: Any) -> Any:
    """Give compiled code an operation's arguments for the vector that begins at element ``i``."""


@overload(_is_contiguous)
def _of_types(arrays: Any) -> Any:
    contiguous = all(one.layout == "C" for one in arrays if isinstance(one, types.Array))

    def answer(arrays: Any) -> Any:  # noqa: ARG001
        return contiguous

    return answer


def _each(function: Any, of_array: Any, of_number: Any) -> None:
    """Apply a function of compiled code to each source: by what the source is, a tuple each."""

    @overload(function)
    def _of_tuple(sources: Any, i: Any) -> Any:  # noqa: ARG001
        of_first = of_array if isinstance(sources[0], types.Array) else of_number

        def of_one(sources: Any, i: Any) -> Any:
            return (of_first(sources[0], i),)

        def of_several(sources: Any, i: Any) -> Any:
            return (of_first(sources[0], i), *function(sources[1:], i))

        return of_one if len(sources) == 1 else of_several


@register_jitable
def _element(array: Array, i: int) -> Any:
    return array[i]


@register_jitable
def _same(number: Any, _i: int) -> Any:
    return number


@register_jitable
def _all_same(number: Any, _i: int) -> Any:
    return splat(number)


_each(_numbers, _element, _same)
_each(_lanes, load, _all_same)
