"""Inference variants: quantize, then hand to a runtime; held to eager float32 throughout."""

from typing import TYPE_CHECKING, Any

from hpml_models import registry
from hpml_models.build import build_module
from hpml_models.precision import PRECISIONS, autocast, check_output_dtype
from hpml_models.types import Case, Incorrect, ModelSpec, Predictor

if TYPE_CHECKING:
    from torch import Tensor


def build_predictor(
    spec: ModelSpec, case: Case, inputs: "Tensor", device: str
) -> tuple[Predictor, dict[str, Any]]:
    """Build the case's variant and what proves it, on ``inputs`` ``[B, ...]``.

    The inputs calibrate, trace and check. Raises :class:`~hpml_models.types.Incorrect` if a part
    of the variant did not take effect or its outputs are further from eager float32 than allowed.
    """
    import torch

    precision = PRECISIONS[case.precision]
    runtime, scheme = registry.runtimes()[case.runtime], registry.quantizations()[case.quantization]
    with torch.inference_mode():
        original = build_module(spec, case, device).eval()
        expected = original(inputs)
        quantized = scheme.apply(original, inputs)
        with autocast(precision, device):
            traced = runtime.prepare(quantized, inputs)

    def predict(inputs: "Tensor") -> "Tensor":
        with torch.inference_mode(), autocast(precision, device):
            return traced(inputs)

    outputs = predict(inputs)
    allowed = precision.output_tolerance + runtime.output_tolerance + scheme.output_tolerance
    return predict, {
        "output_dtype": check_output_dtype(outputs, precision),
        "output_error": check_outputs(outputs, expected, allowed),
        **runtime.proof(traced),
        **scheme.proof(original, quantized),
    }


def check_outputs(outputs: "Tensor", expected: "Tensor", allowed: float) -> float:
    """Return ``|outputs - expected| / |expected|``, Euclidean; raise if beyond ``allowed``."""
    error = float((outputs.float() - expected).norm() / expected.norm())
    if not error <= allowed:  # a NaN is not allowed either
        raise Incorrect(f"outputs are off by {error:.2g} of their norm, {allowed:.2g} is allowed")
    return error
