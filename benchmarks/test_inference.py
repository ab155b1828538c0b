"""Inference: model x runtime x precision x quantization."""

import pytest

from hpml_gate.bench import Bench
from hpml_models.prepare.step import prepare_step
from hpml_models.types import Case


@pytest.mark.mode("inference")
def test_inference_step(bench: Bench, case: Case) -> None:
    """Forward pass on a batch that lies on the device."""
    bench(prepare_step, case, case_id=case.id, cpus=case.cpus)
