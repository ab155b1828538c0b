"""Encoders: published sizes, transformers' own numbers, padding, and local checkpoints."""

from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hpml_models.networks import bert, pretrained, roberta

TINY: dict[str, Any] = {
    "vocabulary": 50,
    "width": 16,
    "heads": 2,
    "layers": 2,
    "length": 12,
    "positions": 12,
    "dropout": 0.0,
}
Build = Any


def roberta_classifier(checkpoint: str = "", **options: Any) -> nn.Module:
    sizes = {"labels": 3} | TINY | options
    return roberta.classifier(roberta.ROBERTA, checkpoint=checkpoint, **sizes)


def xlm_roberta_classifier(checkpoint: str = "", **options: Any) -> nn.Module:
    sizes = {"labels": 3} | TINY | options
    return roberta.classifier(roberta.XLM_ROBERTA, checkpoint=checkpoint, **sizes)


def bert_answering(checkpoint: str = "", **options: Any) -> nn.Module:
    return bert.question_answering(checkpoint=checkpoint, **TINY | options)


BUILDERS = [roberta_classifier, xlm_roberta_classifier, bert_answering]


def padded(lengths: list[int], tokens: int) -> dict[str, Tensor]:
    """Draw ids that are no padding in either vocabulary, each row padded behind its length."""
    mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
    ids = torch.randint(5, 50, mask.shape, generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids.where(mask, roberta.PADDING), "attention_mask": mask}


@pytest.mark.parametrize(
    ("architecture", "layers_of"),
    [
        (roberta.ROBERTA, lambda sizes: roberta_classifier(**sizes)),
        (roberta.XLM_ROBERTA, lambda sizes: xlm_roberta_classifier(**sizes)),
        (bert.BERT, lambda sizes: bert_answering(**sizes)),
    ],
    ids=["roberta", "xlm_roberta", "bert"],
)
def test_layers_give_what_transformers_own_model_gives(
    architecture: pretrained.Architecture,
    layers_of: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only at padding BERT's scores differ: ours are never an answer."""
    made: list[Any] = []
    make = pretrained.make

    def remembered(*given: Any) -> Any:
        made.append(make(*given))
        return made[-1]

    for module in (roberta, bert):
        monkeypatch.setattr(module, "make", remembered)
    ours = layers_of({}).eval()
    theirs = made[0].eval()
    inputs = padded([12, 5, 1], 12)
    with torch.no_grad():
        outputs, expected = ours(**inputs), theirs(**inputs)
    if architecture is bert.BERT:
        stacked = torch.stack([expected.start_logits, expected.end_logits], dim=-1)
        is_word = inputs["attention_mask"]
        torch.testing.assert_close(outputs[is_word], stacked[is_word], rtol=0, atol=1e-6)
        assert (outputs[~is_word] < -1000).all()
    else:
        torch.testing.assert_close(outputs, expected.logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("build", BUILDERS)
@settings(max_examples=5)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_padding_changes_nothing(build: Build, lengths: list[int]) -> None:
    module = build().eval()
    short, long = padded(lengths, 8), padded(lengths, 12)
    long["input_ids"][:, :8] = short["input_ids"]
    with torch.no_grad():
        expected, found = module(**short), module(**long)
        other = module(**long | {"input_ids": long["input_ids"].where(long["attention_mask"], 33)})
    if build is bert_answering:
        found, other = found[:, :8], other[:, :8]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(other, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("build", BUILDERS)
def test_layer_by_layer_is_the_module_bit_for_bit(build: Build) -> None:
    module = build().eval()
    inputs = padded([12, 5, 1], 12)
    outputs: Any = ()
    for layer in module.layers:
        outputs = (layer(*outputs, **named_by(layer, inputs)),)
    assert torch.equal(outputs[0], module(**inputs))


def named_by(layer: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    names = signature(layer.forward).parameters
    return {name: value for name, value in inputs.items() if name in names}


@pytest.mark.parametrize("build", BUILDERS)
def test_every_parameter_gets_a_gradient(build: Build) -> None:
    """DDP stops at a parameter without one: a pooler that nothing uses, say."""
    module = build()
    module(**padded([12, 5, 1], 12)).sum().backward()
    assert [name for name, one in module.named_parameters() if one.grad is None] == []


def test_kinds_of_tokens_reach_bert() -> None:
    module = bert_answering().eval()
    inputs = padded([12, 5], 12)
    kinds = torch.zeros_like(inputs["input_ids"])
    assert torch.equal(module(**inputs), module(**inputs, token_type_ids=kinds))
    assert not torch.equal(module(**inputs), module(**inputs, token_type_ids=kinds + 1))


def test_a_misspelled_setting_is_an_error() -> None:
    with pytest.raises(ValueError, match="RobertaConfig has no hidden_sise"):
        pretrained.configure(roberta.ROBERTA, hidden_sise=8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as transformers writes it, of a classifier of three labels."""
    folder = tmp_path_factory.mktemp("roberta")
    config = pretrained.configure(roberta.ROBERTA, **roberta.settings_of(**TINY), num_labels=3)
    model: Any = pretrained.make(roberta.ROBERTA, config, "")
    model.half().save_pretrained(folder)
    return folder


def test_a_checkpoint_is_loaded_in_float32_and_ready_to_train(checkpoint: Path) -> None:
    module = roberta_classifier(str(checkpoint))
    again = roberta_classifier(str(checkpoint))
    assert {one.dtype for one in module.parameters()} == {torch.float32}
    assert module.training
    for one, other in zip(module.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_encoder_takes_its_part_of_a_classifiers_checkpoint(checkpoint: Path) -> None:
    options: dict[str, Any] = {"labels": 2, "concepts": 9, "nearest": 3, "head_dropout": 0.0}
    module: Any = roberta.self_explaining(
        checkpoint=str(checkpoint), similarity="inner_product", objective="joint", **options, **TINY
    )
    whole: Any = roberta_classifier(str(checkpoint))
    for one, other in zip(module.layers[0].parameters(), whole.layers[0].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (roberta_classifier, {"vocabulary": 60}, "vocab_size 50 != 60"),
        (roberta_classifier, {"length": 20, "positions": 20}, "max_position_embeddings 14 != 22"),
        (roberta_classifier, {"labels": 5}, "no whole set of weights"),
        (xlm_roberta_classifier, {}, "'roberta' model, not the 'xlm-roberta'"),
        (bert_answering, {}, "'roberta' model, not the 'bert'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    build: Build, options: dict[str, int], message: str, checkpoint: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        build(str(checkpoint), **options)


def test_a_folder_without_configuration_or_weights_is_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"no config\.json"):
        roberta_classifier(str(tmp_path))
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    with pytest.raises(ValueError, match="no whole set of weights"):
        roberta_classifier(str(tmp_path))


def test_half_a_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    weights = (checkpoint / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match="no whole set of weights"):
        roberta_classifier(str(tmp_path))


def test_a_checkpoint_without_some_layers_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    (tmp_path / "config.json").write_text((checkpoint / "config.json").read_text())
    weights = load_file(checkpoint / "model.safetensors")
    left = {name: value for name, value in weights.items() if "layer.1" not in name}
    save_file(left, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="lacks 16 weights"):
        roberta_classifier(str(tmp_path))
