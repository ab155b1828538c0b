"""Inference variants: quantize, then hand to a runtime; held to eager float32 throughout."""

from typing import TYPE_CHECKING, Any

from hpml_models.inference.accuracy import check_outputs
from hpml_models.precision import autocast, check_output_dtype
from hpml_models.types import Precision, Tensors
from hpml_models.variants import Predictor, Quantization, Runtime

if TYPE_CHECKING:
    from torch import Tensor, nn


def make_predictor(  # noqa: PLR0913  the model, its variants, what they are checked on
    original: "nn.Module",
    inputs: Tensors,
    device: str,
    *,
    precision: Precision,
    runtime: Runtime,
    quantization: Quantization,
) -> tuple[Predictor, dict[str, Any]]:
    """Turn a module in eval mode into a predictor, and return what proves its variants.

    ``inputs``, ``[B, ...]`` each, calibrate, trace and check. Raises
    :class:`~hpml_models.types.Incorrect` if a part of the variant did not take effect or its
    outputs are further from eager float32 than allowed.
    """
    import torch

    with torch.inference_mode():
        expected = original(**inputs)
        quantized = quantization.apply(original, inputs)
        with autocast(precision, device):
            traced = runtime.prepare(quantized, inputs)

    def predict(**inputs: "Tensor") -> "Tensor":
        with torch.inference_mode(), autocast(precision, device):
            return traced(**inputs)

    outputs = predict(**inputs)
    allowed = precision.output_tolerance + runtime.output_tolerance + quantization.output_tolerance
    return predict, {
        "output_dtype": check_output_dtype(outputs, precision),
        "output_error": check_outputs(outputs, expected, allowed),
        **runtime.proof(traced),
        **quantization.proof(original, quantized),
    }
