"""Batches of named tensors, and masks that reach every layer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hpml_models.cases import registry
from hpml_models.pipelines.stages import run
from hpml_models.prepare import synthetic
from hpml_models.training.micro_batches import split_batch
from hpml_models.types import IGNORED, Batch, ModelSpec


def batch_of(rows: int) -> Batch:
    numbers = torch.arange(rows)
    return Batch(
        inputs={"input_ids": numbers[:, None], "attention_mask": numbers % 2},
        targets={"labels": -numbers},
    )


@given(rows=st.integers(1, 40), data=st.data())
def test_a_batch_is_cut_in_order_and_evenly(rows: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, rows))
    parts = batch_of(rows).split(count)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [*map(len, parts)] == [*map(len, torch.arange(rows).tensor_split(count))]
    for name, whole in batch_of(rows).inputs.items():
        assert torch.equal(torch.cat([part.inputs[name] for part in parts]), whole)
    assert torch.equal(torch.cat([part.targets["labels"] for part in parts]), -torch.arange(rows))


def test_rows_keep_their_tensors_together() -> None:
    some = batch_of(6).rows(torch.tensor([4, 1]))
    assert len(some) == 2
    assert some.inputs["input_ids"].tolist() == [[4], [1]]
    assert some.inputs["attention_mask"].tolist() == [0, 1]
    assert some.targets["labels"].tolist() == [-4, -1]


def test_tensors_of_different_lengths_are_no_batch() -> None:
    with pytest.raises(ValueError, match=r"equally many rows: .'input_ids': 3, 'labels': 2"):
        Batch(inputs={"input_ids": torch.zeros(3)}, targets={"labels": torch.zeros(2)})


@given(counts=st.lists(st.integers(0, 3), min_size=4, max_size=12))
def test_weights_add_up_to_one_unless_nothing_counts(counts: list[int]) -> None:
    """With shards of which nothing counts, and micro-batches, as a pad-only sentence has it."""
    recipe = registry.models()["translation"].recipe
    labels = torch.tensor([[1] * count + [IGNORED] * (3 - count) for count in counts])
    batch = Batch(inputs={"input_ids": labels}, targets={"labels": labels})
    splits = [split_batch(batch, recipe, replica=one, replicas=2, count=2) for one in (0, 1)]
    weights = [float(one.weight) for split in splits for one in split.micro_batches]
    assert sum(weights) == pytest.approx(1 if sum(counts) else 0)


MASKED = [
    spec
    for spec in registry.models().values()
    if "attention_mask" in synthetic.batches(spec, spec.presets["tiny"].options, 2, 1)[0].inputs
]


def outputs_of(spec: ModelSpec, module: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = module(**inputs)
        assert spec.pipeline_layers is not None
        assert torch.equal(outputs, run(spec.pipeline_layers(module), (), inputs))
    return outputs


@pytest.mark.parametrize("spec", MASKED, ids=lambda spec: spec.name)
def test_what_stands_in_the_padding_changes_nothing_and_the_mask_does(spec: ModelSpec) -> None:
    module = spec.build(**spec.presets["tiny"].options).eval()
    inputs = dict(synthetic.batches(spec, spec.presets["tiny"].options, 16, 1)[0].inputs)
    mask = inputs["attention_mask"]
    assert 0 < mask.sum() < mask.numel()
    expected = outputs_of(spec, module, inputs)
    words = {**inputs, "input_ids": inputs["input_ids"].where(mask.bool(), 7)}
    torch.testing.assert_close(outputs_of(spec, module, words), expected)
    unmasked = {**inputs, "attention_mask": torch.ones_like(mask)}
    assert (outputs_of(spec, module, unmasked) - expected).abs().max() > 1e-4
