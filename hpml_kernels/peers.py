"""Variants that are not ours: numpy, torch, numexpr, CuPy; on one core, on all, on CUDA.

A peer computes into ``out``, which is allocated beforehand, as ours do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from hpml_kernels.cpu import available_cores, on_host, why_not_parallel
from hpml_kernels.cuda import why_not_cuda
from hpml_kernels.types import Array, Bound, Tolerance, Variant


def on_numpy(function: Callable[..., object], name: str = "numpy") -> Mapping[str, Variant]:
    """Make a variant of this name, which calls ``function(*inputs, out)``."""

    def bind(*arguments: Any) -> Bound:
        run = partial(function, *arguments)
        return on_host(run, arguments[-1], lambda: {"numpy": np.__version__})

    return {name: Variant(bind=bind, is_peer=True)}


def _map_arrays(make: Callable[[Array], Any], arguments: Iterable[Any]) -> list[Any]:
    """Apply ``make`` to the arrays among the arguments, by a copy to those that are read-only."""
    return [
        make(one if one.flags.writeable else one.copy()) if isinstance(one, np.ndarray) else one
        for one in arguments
    ]


def on_blas(library: str, function: Callable[..., object]) -> Mapping[str, Variant]:
    """Make a variant of the library's name and one that ends in ``_parallel``, of its BLAS.

    Both call ``function(*inputs, out)``. The number of threads is set when one is bound, for every
    BLAS that the process has loaded.
    """

    def bind(threads: int, *arguments: Any) -> Bound:
        version = import_module(library).__version__
        pools = import_module("threadpoolctl")
        pools.threadpool_limits(threads, user_api="blas")
        return on_host(
            partial(function, *arguments),
            arguments[-1],
            lambda: {library: version, "threads": _blas_threads(pools.threadpool_info())},
        )

    return {
        name: replace(variant, threaded_library="blas")
        for name, variant in _on_one_and_all(library, bind).items()
    }


def _blas_threads(pools: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of threads that a BLAS takes at the most."""
    return max(int(one["num_threads"]) for one in pools if one["user_api"] == "blas")


def on_torch(function: Callable[..., object], name: str = "torch") -> Mapping[str, Variant]:
    """Make ``torch``, ``torch_parallel`` and ``torch_cuda`` of ``function(torch, *inputs, out)``.

    With another ``name`` they begin with that.

    Arrays become tensors: over the same memory on the CPU, copied to the device beforehand on CUDA.
    """

    def bind(threads: int, *arguments: Any) -> Bound:
        torch = import_module("torch")
        torch.set_num_threads(threads)
        tensors = _map_arrays(torch.from_numpy, arguments)
        return on_host(
            partial(function, torch, *tensors),
            arguments[-1],
            lambda: {"torch": torch.__version__, "threads": torch.get_num_threads()},
        )

    def bind_on_device(*arguments: Any) -> Bound:
        torch = import_module("torch")
        tensors = _map_arrays(lambda array: torch.from_numpy(array).cuda(), arguments)
        return Bound(
            run=lambda: function(torch, *tensors),
            result=lambda: tensors[-1].cpu().numpy(),
            overwrite=lambda values: tensors[-1].copy_(torch.from_numpy(values)),
            effective=lambda: {"torch": torch.__version__, "gpu": torch.cuda.get_device_name()},
        )

    return {
        **_on_one_and_all("torch", bind, name),
        f"{name}_cuda": _on_device("torch", bind_on_device),
    }


def on_cupy(function: Callable[..., object]) -> Mapping[str, Variant]:
    """Make ``cupy``, which calls ``function(cupy, *inputs, out)`` with arrays on the device."""

    def bind(*arguments: Any) -> Bound:
        cupy = import_module("cupy")
        arrays = _map_arrays(cupy.asarray, arguments)
        return Bound(
            run=lambda: function(cupy, *arrays),
            result=lambda: cupy.asnumpy(arrays[-1]),
            overwrite=arrays[-1].set,
            effective=lambda: {"cupy": cupy.__version__},
        )

    return {"cupy": _on_device("cupy", bind)}


def _on_device(library: str, bind: Callable[..., Bound]) -> Variant:
    return Variant(
        bind=bind,
        why_not=lambda: why_not_installed(library) or why_not_cuda(),
        device="cuda",
        cpus=None,
        is_peer=True,
        simulated=False,
    )


def on_numexpr(expression: str, *names: str) -> Mapping[str, Variant]:
    """Make ``numexpr`` and ``numexpr_parallel``, of an expression of the named inputs."""

    def bind(threads: int, *arguments: Any) -> Bound:
        numexpr = import_module("numexpr")
        numexpr.set_num_threads(threads)
        values = dict(zip(names, arguments, strict=False))
        *_, out = arguments

        def run() -> None:
            numexpr.evaluate(expression, local_dict=values, out=out)

        return on_host(run, out, lambda: {"numexpr": numexpr.__version__, "threads": threads})

    return _on_one_and_all("numexpr", bind)


def _on_one_and_all(
    library: str, bind: Callable[..., Bound], name: str | None = None
) -> Mapping[str, Variant]:
    """Make two variants: the number of threads is the process's, so it is set when one is bound."""
    one = Variant(
        bind=lambda *arguments: bind(1, *arguments),
        why_not=lambda: why_not_installed(library),
        is_peer=True,
        threaded_library=library,
    )
    on_all = replace(
        one,
        bind=lambda *arguments: bind(available_cores(), *arguments),
        why_not=lambda: why_not_installed(library) or why_not_parallel(),
        cpus=None,
    )
    return {name or library: one, f"{name or library}_parallel": on_all}


@cache
def why_not_installed(library: str) -> str | None:
    """Return a reason where a peer's package is not installed."""
    return None if find_spec(library) else f"unsupported: {library} is not installed"


def with_tolerance(tolerance: Tolerance, variants: Mapping[str, Variant]) -> Mapping[str, Variant]:
    """Hold peers to less than the kernel's own tolerance."""
    return {name: replace(variant, tolerance=tolerance) for name, variant in variants.items()}


def with_own_random_numbers(
    tolerance: Tolerance, variants: Mapping[str, Variant]
) -> Mapping[str, Variant]:
    """Mark peers that draw random numbers of their own; the tolerance is for the presets' sizes."""
    return {
        name: replace(one, tolerance=tolerance, own_random_numbers=True)
        for name, one in variants.items()
    }
