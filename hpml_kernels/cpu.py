"""What CPU variants share: binding a numba function, and proving that it was compiled."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numba

from hpml_kernels.types import Array, Bound, Incorrect, Variant


def bind_numba(function: Any, result: Callable[[], Array], *arguments: Any) -> Bound:
    """Bind a numba function; ``result`` fetches what a call left behind."""
    return Bound(
        run=lambda: function(*arguments),
        result=result,
        effective=lambda: _compiled(function),
    )


def _compiled(function: Any) -> Mapping[str, Any]:
    """Read back how numba compiled the function; raise if it is not what was asked for."""
    parallel = bool(function.targetoptions.get("parallel"))
    if not function.nopython_signatures:
        raise Incorrect(f"{function.__name__} was not compiled")
    facts: dict[str, Any] = {"signature": str(function.nopython_signatures[0])}
    if parallel:
        metadata = function.get_metadata(function.signatures[0])
        loops = metadata["parfor_diagnostics"].count_parfors()
        if not loops:
            raise Incorrect(f"{function.__name__} has no parallel loop after compilation")
        facts |= {
            "parallel_loops": loops,
            "threads": numba.get_num_threads(),
            "threading_layer": numba.threading_layer(),
        }
    return facts


def why_not_parallel() -> str | None:
    """Return a reason where there is one core: parallel would change nothing."""
    cores = len(os.sched_getaffinity(0))
    return None if cores > 1 else "no_hardware: one core, nothing to run in parallel"


def in_parallel(bind: Callable[..., Bound]) -> Variant:
    """Make the variant that ``bind`` binds on all cores."""
    return Variant(bind=bind, why_not=why_not_parallel, cpus=None)
