"""Inference variants: quantize, then hand to a runtime."""

from typing import TYPE_CHECKING, Any

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

    ``inputs``, ``[B, ...]`` each, calibrate and trace. Raises
    :class:`~hpml_steps.incorrect.Incorrect` if a part of the variant did not take effect.
    """
    import torch

    with torch.inference_mode():
        quantized = quantization.apply(original, inputs)
        with autocast(precision, device):
            traced = runtime.prepare(quantized, inputs)

    def predict(**inputs: "Tensor") -> "Tensor":
        with torch.inference_mode(), autocast(precision, device):
            return traced(**inputs)

    return predict, {
        "output_dtype": check_output_dtype(predict(**inputs), precision),
        **runtime.proof(traced),
        **quantization.proof(original, quantized),
    }
