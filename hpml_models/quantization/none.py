"""No quantization: weights and activations stay floating point."""

from typing import TYPE_CHECKING, Any

from hpml_models.types import Case, ModelSpec, Tensors
from hpml_models.variants import Quantization

if TYPE_CHECKING:
    from torch import nn


class Unquantized(Quantization):
    """The module as it is."""

    name = "none"
    output_tolerance = 0.0

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:  # noqa: ARG002  fits every model
        """Nothing to refuse."""
        return None

    def apply(self, module: "nn.Module", calibration: Tensors) -> "nn.Module":  # noqa: ARG002
        """Change nothing."""
        return module

    def proof(self, original: "nn.Module", quantized: "nn.Module") -> dict[str, Any]:  # noqa: ARG002
        """Nothing took effect, as asked."""
        return {}


QUANTIZATION = Unquantized()
