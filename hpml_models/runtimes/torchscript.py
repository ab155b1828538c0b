"""TorchScript: the traced graph, frozen, run by PyTorch's own graph executor.

Deprecated upstream in favour of ``torch.compile`` and ``torch.export``; measured because models
in the field still run on it.
"""

import warnings
from typing import TYPE_CHECKING, Any

from hpml_models.types import Case, ModelSpec, Tensors
from hpml_models.variants import Predictor, Runtime
from hpml_steps.incorrect import Incorrect

if TYPE_CHECKING:
    from torch import nn


class TorchScript(Runtime):
    """``torch.jit.trace`` and ``torch.jit.freeze``."""

    name = "torchscript"
    output_tolerance = 1e-4  # fusions sum in another order

    def why_not(self, spec: ModelSpec, case: Case) -> str | None:  # noqa: ARG002
        """Refuse nothing: every model can be traced."""
        return None

    def prepare(self, module: "nn.Module", example: Tensors) -> Predictor:
        """Trace on ``example`` and freeze; call within the autocast that is to be traced."""
        import torch

        with warnings.catch_warnings():
            # The deprecated calls are what this file is about; quantized modules hold their
            # scales as Python numbers, which the trace may take as constants.
            warnings.filterwarnings("ignore", message="`torch.jit")
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
            traced = torch.jit.trace(module, example_kwarg_inputs=dict(example))
            predictor: Predictor = torch.jit.freeze(traced)
        return predictor

    def proof(self, predictor: Predictor) -> dict[str, Any]:
        """Count the graph's nodes."""
        import torch

        if not isinstance(predictor, torch.jit.ScriptModule):
            raise Incorrect(f"torchscript did not take effect: {type(predictor).__name__} is run")
        kinds = [node.kind() for node in predictor.inlined_graph.nodes()]
        return {
            "runtime": type(predictor).__name__,
            "graph_nodes": len(kinds),
            "quantized_nodes": sum(kind.startswith("quantized::") for kind in kinds),
        }


RUNTIME = TorchScript()
