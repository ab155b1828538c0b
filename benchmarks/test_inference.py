"""Inference: model x runtime x precision x quantization."""

import pytest

from hpml_gate.bench import Bench
from hpml_models.cases.inference import InferenceCase
from hpml_models.prepare.step import prepare_step


@pytest.mark.family("inference")
def test_inference_step(bench: Bench, case: InferenceCase) -> None:
    """Forward pass on a batch that lies on the device."""
    bench(prepare_step, case, case_id=case.id, cpus=case.cpus)
