"""Training steps: model x strategy x device count x precision."""

import pytest

from hpml_gate.bench import Bench
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.step import prepare_step


@pytest.mark.family("train")
def test_training_step(bench: Bench, case: TrainingCase) -> None:
    """Forward, backward and optimizer step on a batch that lies on the device."""
    bench(prepare_step, case, case_id=case.id, cpus=case.cpus)
