"""What each model's description promises: published sizes and work, recipes, layers, presets."""

from collections.abc import Iterator, Sequence
from functools import cache
from inspect import signature
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hpml_models.cases import registry
from hpml_models.networks import roberta
from hpml_models.types import SEED, Batch, ModelSpec

MODELS = registry.models()
ALL = list(MODELS.values())
TEXT = [spec for spec in ALL if "layers" in spec.presets["tiny"].options]
PAPER_PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "roberta_base": 124_055_040 + 592_130,  # without the pooler; dense layer and projection
    "roberta_large": 355_363_844,
    "xlm_roberta_base": 278_046_724,
    "self_explaining_roberta": 124_055_040 + 2_366_982,
    "bert": 108_893_186,
    "translation": 3 * 65_002 * 512 + 65_002 + 4 * (28 * 512**2 + 32 * 512) + 4 * 512,
}


def every_model(specs: Sequence[ModelSpec] = ALL) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("spec", specs, ids=lambda spec: spec.name)


@cache
def on_meta(name: str) -> nn.Module:
    """Build a model at its published size without memory for its weights."""
    spec = MODELS[name]
    with torch.device("meta"):
        return spec.build(**spec.presets["paper"].options)


@cache
def tiny(name: str) -> nn.Module:
    torch.manual_seed(SEED)
    return MODELS[name].build(**MODELS[name].presets["tiny"].options)


def batch_of(spec: ModelSpec, count: int = 8) -> Batch:
    options = spec.presets["tiny"].options
    return spec.make_batch(count, torch.Generator().manual_seed(SEED), **options)


PUBLISHED = [MODELS[name] for name in PAPER_PARAMETERS]


@every_model(PUBLISHED)
def test_paper_has_as_many_parameters_as_published(spec: ModelSpec) -> None:
    counted = sum(one.numel() for one in on_meta(spec.name).parameters())
    assert counted == PAPER_PARAMETERS[spec.name]
    assert spec.parameter_count is not None
    assert spec.parameter_count(**spec.presets["paper"].options) == counted


def test_the_published_encoder_has_a_pooler_that_nothing_uses() -> None:
    assert 124_055_040 + roberta.pooler_parameters(768) == 124_645_632


@every_model()
@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_parameters_are_counted_at_every_size(spec: ModelSpec, preset: Any) -> None:
    options = spec.presets[preset].options
    with torch.device("meta"):
        module = spec.build(**options)
    if spec.parameter_count is None:
        pytest.skip("not known")
    expected = spec.parameter_count(**options)
    assert sum(one.numel() for one in module.parameters()) == expected


@pytest.mark.parametrize(
    ("name", "gigaflops"), [("resnet18", 1.814), ("resnet34", 3.664), ("resnet50", 4.089)]
)
def test_a_resnet_does_as_much_work_as_published(name: str, gigaflops: float) -> None:
    """torchvision's documentation counts multiply-adds of an image of 224 x 224 pixels."""
    with FlopCounterMode(display=False) as counter:
        on_meta(name)(pixel_values=torch.empty(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gigaflops, abs=0.001)


@pytest.mark.parametrize("name", ["roberta_base", "roberta_large", "xlm_roberta_base", "bert"])
def test_an_encoder_does_as_much_work_as_its_sizes_ask(name: str) -> None:
    """Two operations for each weight of a layer and token, and two products of T x T x D."""
    options = MODELS[name].presets["paper"].options
    ids = torch.empty(2, 50, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter:
        on_meta(name)(input_ids=ids, attention_mask=ids)
    width = options["width"]
    layer = 2 * 100 * 12 * width**2 + 4 * 2 * 50**2 * width
    head = 2 * 100 * width * 2 if name == "bert" else 2 * 2 * width * (width + options["labels"])
    assert counter.get_total_flops() == options["layers"] * layer + head


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_a_resnet_gives_what_torchvision_own_gives(name: str) -> None:
    from torchvision import models

    ours, theirs = tiny(name).eval(), getattr(models, name)(weights=None).eval()
    theirs.load_state_dict(ours.state_dict())
    images = batch_of(MODELS[name], 2).inputs["pixel_values"]
    with torch.no_grad():
        assert torch.equal(ours(pixel_values=images), theirs(images))


@every_model()
def test_layer_by_layer_is_the_module_bit_for_bit(spec: ModelSpec) -> None:
    if spec.pipeline_layers is None:
        pytest.skip("cannot be cut")
    module, inputs = tiny(spec.name).eval(), batch_of(spec, 4).inputs
    outputs: Any = ()
    layers = spec.pipeline_layers(module)
    assert spec.pipeline_layer_count is not None
    assert len(layers) == spec.pipeline_layer_count(**spec.presets["tiny"].options)
    with torch.no_grad():
        for layer in layers:
            names = signature(type(layer).forward).parameters
            side = {name: inputs[name] for name in inputs if name in names}
            returned = layer(*outputs, **side)
            outputs = returned if isinstance(returned, tuple) else (returned,)
        assert torch.equal(outputs[0], module(**inputs))


@every_model()
def test_one_tensor_comes_out_and_every_parameter_gets_a_gradient(spec: ModelSpec) -> None:
    module, batch = tiny(spec.name).train(), batch_of(spec)
    outputs = module(**batch.inputs)
    assert isinstance(outputs, torch.Tensor)
    assert len(outputs) == len(batch)
    spec.recipe.loss(outputs, batch.targets).backward()  # type: ignore[no-untyped-call]  # torch's own gap
    grads = {name: one.grad for name, one in module.named_parameters()}
    module.zero_grad()
    assert [name for name, grad in grads.items() if grad is None] == []


@every_model()
def test_the_loss_is_a_mean_over_what_it_counts(spec: ModelSpec) -> None:
    """Parts with very different numbers of words weigh by their counts."""
    module, batch = tiny(spec.name).eval(), batch_of(spec)
    with torch.no_grad():
        outputs = module(**batch.inputs)
        rows = [slice(0, 1), slice(1, len(batch))]
        targets = [{name: value[one] for name, value in batch.targets.items()} for one in rows]
        counts = [spec.recipe.loss_count(one) for one in targets]
        losses = [spec.recipe.loss(outputs[one], on) for one, on in zip(rows, targets, strict=True)]
        whole = spec.recipe.loss(outputs, batch.targets)
    summed = sum(float(loss) * int(count) for loss, count in zip(losses, counts, strict=True))
    assert float(whole) == pytest.approx(summed / sum(map(int, counts)), rel=1e-5)


@every_model()
def test_a_tensor_plan_names_layers_of_every_block(spec: ModelSpec) -> None:
    if spec.tensor_plan is None:
        pytest.skip("no plan")
    plan = spec.tensor_plan(tiny(spec.name))
    assert len(plan) % spec.presets["tiny"].options["layers"] == 0
    assert len(plan) >= 6 * spec.presets["tiny"].options["layers"]


def settings_of(spec: ModelSpec) -> Iterator[tuple[type, dict[str, Any]]]:
    """Yield the optimizer's class and each group's settings, without its parameters."""
    optimizer = spec.recipe.make_optimizer(tiny(spec.name).named_parameters())
    for group in optimizer.param_groups:
        kept = ("lr", "momentum", "betas", "eps", "weight_decay")
        yield type(optimizer), {name: group[name] for name in kept if name in group}


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
SGD_RESNET = (SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4})
SGD_LARGE = (SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0})
BETAS = {"betas": (0.9, 0.999), "eps": 1e-8}
RECIPES: dict[str, list[tuple[type, dict[str, Any]]]] = {
    "resnet18": [SGD_RESNET],
    "resnet34": [SGD_RESNET],
    "resnet50": [SGD_RESNET],
    "roberta_base": [
        (ADAMW, {"lr": 2e-5, **BETAS, "weight_decay": 0.01}),
        (ADAMW, {"lr": 2e-5, **BETAS, "weight_decay": 0.0}),
    ],
    "roberta_large": [SGD_LARGE],
    "xlm_roberta_base": [SGD_LARGE],
    "self_explaining_roberta": [
        (ADAMW, {"lr": 2e-5, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.01})
    ],
    "bert": [(ADAMW, {"lr": 5e-5, **BETAS, "weight_decay": 0.01})],
    "translation": [(ADAM, {"lr": 1e-3, **BETAS, "weight_decay": 0})],
}
CLIP_NORMS = {"roberta_base": 10.0, "self_explaining_roberta": 1.0}


@every_model(PUBLISHED)
def test_recipes_are_those_of_the_experiments(spec: ModelSpec) -> None:
    assert list(settings_of(spec)) == RECIPES[spec.name]
    assert spec.recipe.clip_norm == CLIP_NORMS.get(spec.name)


def test_biases_and_norms_of_roberta_do_not_decay() -> None:
    module = tiny("roberta_base")
    optimizer = MODELS["roberta_base"].recipe.make_optimizer(module.named_parameters())
    kept = {id(one) for one in optimizer.param_groups[1]["params"]}
    names = {name for name, one in module.named_parameters() if id(one) in kept}
    expected = {
        name for name, _ in module.named_parameters() if "LayerNorm" in name or "bias" in name
    }
    assert names == expected


@every_model()
def test_a_model_learns_one_batch_by_heart(spec: ModelSpec) -> None:
    """Adam in place of the recipe, whose learning rate is for weights that were trained before."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    module = spec.build(**spec.presets["tiny"].options).train()
    batch = batch_of(spec, 4)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = spec.recipe.loss(module(**batch.inputs), batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert torch.tensor(losses).isfinite().all()


@every_model(TEXT)
def test_sizes_that_do_not_fit_are_refused(spec: ModelSpec) -> None:
    options = dict(spec.presets["tiny"].options)
    with pytest.raises(ValueError, match="multiple"):
        spec.build(**options | {"heads": 7})
    if "positions" in options:
        with pytest.raises(ValueError, match=r"texts of 600 tokens in a model of \d+ positions"):
            spec.build(**options | {"length": 600})
