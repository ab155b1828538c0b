"""Data loading: reading, decoding, augmenting and collating one batch of real samples."""

import pytest

from hpml_gate.bench import Bench
from hpml_models.cases.loading import LoadingCase
from hpml_models.prepare.loading import prepare_loading


@pytest.mark.family("load")
def test_load_batch(bench: Bench, case: LoadingCase) -> None:
    """One training batch, in the process that asks for it."""
    bench(prepare_loading, case, case_id=case.id, cpus=case.cpus)
