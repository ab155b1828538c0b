"""Eager PyTorch: the interpreter calls each operator."""

from typing import TYPE_CHECKING, Any

from hpml_models.types import Case, ModelSpec, Tensors
from hpml_models.variants import Predictor, Runtime

if TYPE_CHECKING:
    from torch import nn


class Eager(Runtime):
    """The module called as it is."""

    name = "eager"
    output_tolerance = 0.0

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:  # noqa: ARG002  fits every model
        """Every model runs eagerly."""
        return None

    def prepare(self, module: "nn.Module", example: Tensors) -> Predictor:  # noqa: ARG002
        """Call the module itself."""
        return module

    def proof(self, predictor: Predictor) -> dict[str, Any]:
        """Name the class that is called."""
        return {"runtime": type(predictor).__name__}


RUNTIME = Eager()
