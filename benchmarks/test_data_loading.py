"""Data loading: reading, decoding, augmenting and collating one batch of real samples."""

from hpml_gate.bench import Bench
from hpml_models.prepare.loading import loading_id, prepare_loading


def test_load_batch(bench: Bench, loaded: tuple[str, int], data_root: str) -> None:
    """One training batch, in the process that asks for it."""
    data, batch = loaded
    bench(prepare_loading, data, data_root, batch, case_id=loading_id(data, batch))
