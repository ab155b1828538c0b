"""Training steps: model x strategy x device count x precision."""

from collections.abc import Callable

import pytest

from hpml_gate.bench import Bench
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.step import prepare_step
from hpml_models.scaling.table import Row


@pytest.mark.family("train")
def test_training_step(
    bench: Bench, case: TrainingCase, report_scaling: Callable[[Row], None]
) -> None:
    """Forward, backward and optimizer step on a batch that lies on the device."""
    if samples := bench(prepare_step, case, case_id=case.id, cpus=case.cpus):
        report_scaling(
            Row(
                case=case,
                launch_medians_ns=samples.launch_medians_ns,
                effective=samples.effective,
            )
        )
