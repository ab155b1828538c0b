"""An inference case: built, its outputs held to eager float32, then timed by the same callable."""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from hpml_models.cases import registry
from hpml_models.cases.inference import InferenceCase
from hpml_models.inference.accuracy import check_outputs
from hpml_models.inference.predictor import make_predictor
from hpml_models.instruments.clocks import clock_for
from hpml_models.instruments.digest import digest
from hpml_models.precision import PRECISIONS
from hpml_models.prepare.build import build_batches, build_module
from hpml_models.prepare.readings import environment, readings
from hpml_models.types import Batch, Rank
from hpml_steps.local_step import LocalStep

if TYPE_CHECKING:
    from torch import Tensor, nn


def inference_step(rank: Rank, case: InferenceCase) -> LocalStep:
    """Build the case's variant, prove it, and return it ready to be timed."""
    import torch

    spec = case.spec
    batches = build_batches(spec, case, rank.device)
    with torch.inference_mode():
        module = build_module(spec, case.options, rank.device).eval()
    runtime, scheme = registry.runtimes()[case.runtime], registry.quantizations()[case.quantization]
    precision = PRECISIONS[case.precision]
    facts = {
        **environment(case),
        "weights": digest(module.state_dict()),
        "batches": [digest(one.inputs) for one in batches],
    }
    predict, proof = make_predictor(
        module,
        batches[0].inputs,
        rank.device,
        precision=precision,
        runtime=runtime,
        quantization=scheme,
    )
    upcoming = cycle(batches)

    def run() -> "Tensor":
        return predict(**next(upcoming).inputs)

    allowed = precision.output_tolerance + runtime.output_tolerance + scheme.output_tolerance
    return LocalStep(
        run=run,
        clock=clock_for(rank, in_world=False),
        items_per_step=len(batches[0]),
        effective={**facts, **proof, **prove_inference(run, module, batches, allowed)},
        **readings(rank, run),
    )


def prove_inference(
    run: "Callable[[], Tensor]", original: "nn.Module", batches: Sequence[Batch], allowed: float
) -> dict[str, Any]:
    """Take a step on each batch; raise ``Incorrect`` if outputs are further off than allowed."""
    import torch

    with torch.inference_mode():
        expected = [original(**batch.inputs) for batch in batches]
    return {"output_error": max(check_outputs(run(), one, allowed) for one in expected)}
