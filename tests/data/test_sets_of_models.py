"""Every model takes the batches of its own data set, read from files in the real formats."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from files import write_pairs, write_questions, write_reviews
from PIL import Image

from hpml_models.cases import registry
from hpml_models.prepare import data_sets
from hpml_models.prepare.build import build_module, training_batches
from hpml_models.types import ModelSpec

TRAINED = [spec for spec in registry.models().values() if spec.data]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for write in (write_reviews, write_questions, write_pairs):
        write(folder)
    for label in range(10):
        images = folder / "cifar10" / "train" / str(label)
        images.mkdir(parents=True)
        Image.fromarray(np.full((32, 32, 3), 20 * label, np.uint8)).save(images / "0.png")
    return folder


@pytest.mark.parametrize("spec", TRAINED, ids=lambda spec: spec.name)
def test_a_model_takes_its_data_sets_batches(root: Path, spec: ModelSpec) -> None:
    options = spec.presets["tiny"].options
    batches = training_batches(str(spec.data), str(root), 4, **options)
    module = build_module(spec, options, "cpu").eval()
    for batch in islice(batches, 1):
        with torch.no_grad():
            outputs = module(**batch.inputs)
        assert torch.isfinite(spec.recipe.loss(outputs, batch.targets))
        assert int(spec.recipe.loss_count(batch.targets)) >= 4


def test_the_readme_lists_every_data_set_with_its_licence_revision_and_size() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for one in registry.data_sets().values():
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{one.name}` |"))
        assert all(f"| {part} |" in row for part in (one.size, one.licence, one.revision))


def test_the_command_shows_what_is_there_and_what_to_put_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path)
    assert data_sets.main([str(tmp_path)]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["spa_eng"] == "52 samples (CC BY 2.0 FR)"
    assert lines["sst2"].startswith("no_data: put sst2/train.tsv")
    assert data_sets.main([str(tmp_path), "--download", "squad"]) == 1
    assert "put squad_v2/train-v2.0.json" in capsys.readouterr().out
