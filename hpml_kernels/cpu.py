"""What CPU variants of ours share: compiling, binding, and proving what was compiled.

The functions that variants are made of take the kernel's inputs and then ``out``.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.registry import cpu_target

from hpml_kernels.types import Array, Bound, Variant
from hpml_steps.incorrect import Incorrect

USUAL_LAST_CACHE_BYTES = 32 * 2**20  # where the kernel does not say
LARGEST_INTERPRETED = 200_000  # elements that Python works through in well under a second


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile at the first call, and keep what was compiled for later processes.

    numba keeps it beside the source or, where that cannot be written, in the user's cache folder
    (``NUMBA_CACHE_DIR`` names another). Where neither can, each process compiles for itself.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        # numba keeps code by name: one function compiled in two ways needs two.
        ways = "".join(f"-{name}-{_word(value)}" for name, value in sorted(options.items()))
        function.__qualname__ += ways
        try:
            dispatcher = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to keep it in
            return numba.njit(**options)(function)
        # numba looks at the function's own file alone, but much is inlined from others.
        dispatcher._cache._cache_file._source_stamp = package_stamp()  # noqa: SLF001
        return dispatcher

    return compiled


def _word(value: Any) -> str:
    """Write an option for the name of a file: sets always in the same order, and no braces."""
    return "+".join(sorted(value)) if isinstance(value, set) else str(value)


@cache
def package_stamp() -> str:
    """Return what changes with any source file of this package: kept code is for one of these."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(one.read_bytes() for one in sources)).hexdigest()


def interpreted(function: Callable[..., Any]) -> Variant:
    """Make the variant that runs a Python function as it stands, on few elements."""

    def bind(*arguments: Any) -> Bound:
        return on_host(lambda: function(*arguments), arguments[-1], lambda: {"python": True})

    return Variant(bind=bind, largest_size=LARGEST_INTERPRETED)


def in_numba(function: Any) -> Variant:
    """Make the variant that calls a function compiled with :func:`jit`, on one core."""
    return Variant(bind=lambda *arguments: bind_numba(function, *arguments))


def in_parallel(function: Any) -> Variant:
    """Make the variant that calls a function compiled for all cores."""
    return Variant(
        bind=lambda *arguments: bind_numba(function, *arguments),
        why_not=why_not_parallel,
        cpus=None,
    )


def bind_numba(function: Any, *arguments: Any) -> Bound:
    """Bind a function of :func:`jit` to its arguments, of which the last holds the result."""
    _load_numba()
    return on_host(lambda: function(*arguments), arguments[-1], lambda: _compiled(function))


def on_host(
    run: Callable[[], object], out: Array, effective: Callable[[], Mapping[str, Any]]
) -> Bound:
    """Bind what leaves its result in an array of the host."""
    return Bound(
        run=run,
        result=lambda: out,
        overwrite=lambda values: np.copyto(out, values),
        effective=effective,
    )


@cache
def _load_numba() -> None:
    """Let numba import its tables of types, which takes half a second, before the first call."""
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()


def _compiled(function: Any) -> Mapping[str, Any]:
    """Read back how numba compiled the function; raise if it is not what was asked for."""
    if not function.nopython_signatures:
        raise Incorrect(f"{function.__name__} was not compiled")
    signature = function.nopython_signatures[0]
    facts: dict[str, Any] = {"signature": str(signature)}
    if function.targetoptions.get("parallel"):
        loops = _parallel_loops(function, signature)
        if not loops:
            raise Incorrect(f"{function.__name__} has no parallel loop after compilation")
        facts |= {
            "parallel_loops": loops,
            "threads": numba.get_num_threads(),
            "threading_layer": numba.threading_layer(),
        }
    return facts


def _parallel_loops(function: Any, signature: Any) -> int:
    """Count the loops handed to threads in the code itself: numba's own report is not cached."""
    library = function.overloads[signature.args].library
    return str(library._get_module_for_linking()).count("call void @numba_parallel_for(")  # noqa: SLF001


def why_not_parallel() -> str | None:
    """Return a reason where there is one core: parallel would change nothing."""
    several = available_cores() > 1
    return None if several else "no_hardware: one core, nothing to run in parallel"


def available_cores() -> int:
    """Return how many cores this process may compute on."""
    return len(os.sched_getaffinity(0))


@cache
def last_cache_bytes() -> int:
    """Return the size of the largest cache that this processor has, as the kernel knows it."""
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    sizes = [int(one.read_text().strip("K\n")) * 1024 for one in folder.glob("index*/size")]
    return max(sizes, default=USUAL_LAST_CACHE_BYTES)


def aligned(size: int, dtype: Any) -> Array:
    """Allocate ones that begin at a multiple of 64 bytes, a cache line and a vector."""
    width = np.dtype(dtype).itemsize
    spare = np.ones(size + 64 // width, dtype)
    first = -spare.ctypes.data % 64 // width
    return spare[first : first + size]


def scalar_out(dtype: type[np.generic]) -> Array:
    """Allocate the ``out`` of a kernel that gives one number."""
    return np.zeros(1, dtype)
