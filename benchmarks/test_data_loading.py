"""Data loading: batches of real samples alone, and training steps that are fed by them."""

import pytest

from hpml_gate.bench import Bench
from hpml_models.cases.loading import FeedingCase, LoadingCase
from hpml_models.prepare.loading import prepare_feeding, prepare_loading


@pytest.mark.family("load")
def test_load_batch(bench: Bench, case: LoadingCase) -> None:
    """One training batch: read, decoded, augmented, tokenized, collated."""
    bench(prepare_loading, case, case_id=case.id, cpus=case.cpus)


@pytest.mark.family("feed")
def test_fed_training_step(bench: Bench, case: FeedingCase) -> None:
    """A training step on one device, with the time that it waits for its batch."""
    bench(prepare_feeding, case, case_id=case.id, cpus=case.cpus)
