"""Static int8: weights and activations as 8-bit integers, scales found by calibration.

Convolutions have no dynamic version, so a convolutional network needs this scheme; asking for a
dynamic one converts nothing in it. B. Jacob et al., arXiv 1712.05877; PyTorch's FX graph mode.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from hpml_models.types import Case, ModelSpec, Tensors
from hpml_models.variants import Quantization
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import nn


class StaticInt8(Quantization):
    """``torch.ao.quantization`` with the processor's own int8 kernels."""

    name = "static_int8"
    output_tolerance = 0.15  # ResNet-18 loses 0.05 of the output's norm, a broken scale all of it

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:
        """Refuse where there are no kernels, and graphs that cannot be rewritten."""
        if case.device != "cpu":
            return "static_int8 kernels run on the CPU only"
        if case.precision != "fp32":
            return "static_int8 replaces the matrix products that autocast would cast"
        if not spec.is_symbolic:
            return f"static_int8 rewrites a graph, and torch.fx cannot trace {spec.name}"
        return None

    def apply(self, module: "nn.Module", calibration: Tensors) -> "nn.Module":
        """Fuse, observe named inputs ``[B, ...]``, convert."""
        import torch
        from torch.ao.quantization import get_default_qconfig_mapping
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        engine = "x86" if "x86" in torch.backends.quantized.supported_engines else "qnnpack"
        torch.backends.quantized.engine = engine
        with _deprecated_on_purpose():
            mapping = get_default_qconfig_mapping(engine)
            observed = prepare_fx(deepcopy(module), mapping, tuple(calibration.values()))
            observed(**calibration)
            return cast("nn.Module", convert_fx(observed))

    def proof(self, original: "nn.Module", quantized: "nn.Module") -> dict[str, Any]:
        """Count the layers that hold the arithmetic, and those that now run on integers."""
        layers = _count(original, "torch.nn.", FLOATING)
        int8 = _count(quantized, "torch.ao.nn.", INT8)
        if int8 != layers or not sum(int8.values()):
            raise Incorrect(f"static_int8 did not take effect: of {layers}, {int8} are int8")
        return {"layers": layers, "int8_layers": int8}


FLOATING = {"convolutions": {"Conv2d"}, "linear": {"Linear"}}
INT8 = {"convolutions": {"Conv2d", "ConvReLU2d"}, "linear": {"Linear", "LinearReLU"}}


def _count(module: "nn.Module", package: str, kinds: dict[str, set[str]]) -> dict[str, int]:
    types = [type(part) for part in module.modules()]
    return {
        kind: sum(one.__name__ in names and one.__module__.startswith(package) for one in types)
        for kind, names in kinds.items()
    }


@contextmanager
def _deprecated_on_purpose() -> Iterator[None]:
    """Silence what this scheme is known to say: it is deprecated, and so are its observers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.ao.quantization is deprecated")
        warnings.filterwarnings("ignore", message="Please use quant_min and quant_max")
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor")
        yield


QUANTIZATION = StaticInt8()
