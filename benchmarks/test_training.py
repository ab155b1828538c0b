"""Training steps: model x strategy x device count x precision."""

import pytest

from hpml_gate.bench import Bench
from hpml_models.step import prepare_step
from hpml_models.types import Case


@pytest.mark.mode("train")
def test_training_step(bench: Bench, case: Case) -> None:
    """Forward, backward and optimizer step on a batch that lies on the device."""
    bench(prepare_step, case, case_id=case.id, cpus=case.cpus)
