"""Finds the kernels: one file each, ending in ``KERNEL = Kernel(...)``."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from hpml_kernels import kernels as folder
from hpml_kernels.types import Kernel

QUICK = ("add", "monte_carlo_pi")  # what stands for all where minutes count: one bound by memory


@cache
def kernels() -> Mapping[str, Kernel]:
    """Kernels by name."""
    found: list[Kernel] = [
        import_module(f"{folder.__name__}.{info.name}").KERNEL
        for info in pkgutil.iter_modules(folder.__path__)
    ]
    return MappingProxyType({kernel.name: kernel for kernel in found})
