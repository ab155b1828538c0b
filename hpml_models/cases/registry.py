"""Finds what there is: one file per variant, ending in one constant. Nothing is listed twice."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

from hpml_models.types import DataSpec, ModelSpec
from hpml_models.variants import Quantization, Runtime, Strategy


@cache
def _found(package: str, constant: str) -> Mapping[str, Any]:
    folder = import_module(f"hpml_models.{package}")
    modules = [
        import_module(f"{folder.__name__}.{info.name}")
        for info in pkgutil.iter_modules(folder.__path__)
    ]
    variants = [getattr(module, constant) for module in modules if hasattr(module, constant)]
    return MappingProxyType({variant.name: variant for variant in variants})


def models() -> Mapping[str, ModelSpec]:
    """Models by name."""
    return cast("Mapping[str, ModelSpec]", _found("models", "SPEC"))


def data_sets() -> Mapping[str, DataSpec]:
    """Real data sets by name."""
    return cast("Mapping[str, DataSpec]", _found("data", "SPEC"))


def strategies() -> Mapping[str, Strategy]:
    """Parallel strategies by name."""
    return cast("Mapping[str, Strategy]", _found("strategies", "STRATEGY"))


def runtimes() -> Mapping[str, Runtime]:
    """Runtimes by name."""
    return cast("Mapping[str, Runtime]", _found("runtimes", "RUNTIME"))


def quantizations() -> Mapping[str, Quantization]:
    """Quantization schemes by name."""
    return cast("Mapping[str, Quantization]", _found("quantization", "QUANTIZATION"))
