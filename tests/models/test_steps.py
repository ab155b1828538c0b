"""Prepared steps: every case can be built, proves what took effect, and a sham is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from faults import Unreduced
from torch import nn

from hpml_gate.measure.block import time_block
from hpml_models.cases import registry
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.inference.accuracy import check_outputs
from hpml_models.instruments.traffic import Traffic
from hpml_models.networks.losses import sample_count
from hpml_models.precision import PRECISIONS, check_output_dtype
from hpml_models.prepare.build import build_module
from hpml_models.prepare.step import prepare_step
from hpml_models.prepare.training import TrainingSteps, prove_training
from hpml_models.quantization.static_int8 import StaticInt8
from hpml_models.runtimes.torchscript import TorchScript
from hpml_models.strategies.single import SingleTrainer
from hpml_models.training import deepspeed_setup
from hpml_models.types import Batch, ModelSpec, Rank, Recipe, Split, Task
from hpml_steps.axes import cases
from hpml_steps.incorrect import Incorrect

SETTING = Setting(device="cpu", preset="tiny")


def smallest_of_each_kind() -> dict[str, int]:
    """Return one model for each kind of network, and its size: strategies treat a kind alike."""
    smallest: dict[type, tuple[int, str]] = {}
    for spec in registry.models().values():
        with torch.device("meta"):
            module = spec.build(**spec.presets["tiny"].options)
        size = sum(parameter.numel() for parameter in module.parameters())
        kind = type(module).__mro__[type(module).__mro__.index(nn.Module) - 1]
        smallest[kind] = min(smallest.get(kind, (size, spec.name)), (size, spec.name))
    return {name: size for size, name in smallest.values()}


UNDER_ALL = smallest_of_each_kind()
IN_BF16 = min(UNDER_ALL, key=lambda name: UNDER_ALL[name])  # autocast is one line per strategy
TRAINING = [
    case
    for case in cases(TrainingCase, SETTING, {"model": registry.models()})
    if case.strategy == "single"
    or (case.model in UNDER_ALL and (case.precision == "fp32" or case.model == IN_BF16))
]
INFERENCE = cases(InferenceCase, SETTING, {"model": registry.models()})
ALL: list[TrainingCase | InferenceCase] = [*TRAINING, *INFERENCE]
RUNNABLE = [case for case in ALL if case.why_not(SETTING) is None]


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.id)
def test_every_case_is_prepared_and_timed(case: TrainingCase | InferenceCase) -> None:
    step = prepare_step(case)
    try:
        times = step.measure(time_block, 1)
    finally:
        step.close()
    assert all(time.ns > 0 for time in times)
    assert step.items_per_step == case.batch
    assert step.effective["threads"] == 1
    dtype = PRECISIONS[case.precision].output_dtype
    if isinstance(case, TrainingCase):
        assert len(times) == case.device_count
        assert step.effective["output_dtype"] == dtype
    else:
        expects = dtype if case.quantization == "none" else "float32"
        assert step.effective["output_dtype"] == expects


def facts_of(**axes: Any) -> dict[str, Any]:
    axes = {"model": "resnet18", **axes}
    (case,) = (one for one in RUNNABLE if axes.items() <= one.axes.items())
    step = prepare_step(case)
    step.close()
    return dict(step.effective)


def test_ddp_says_what_its_world_is() -> None:
    facts = facts_of(strategy="ddp", device_count=2, precision="fp32")
    assert facts["world_size"] == 2
    assert facts["backend"] == "gloo"
    assert facts["wrapper"] == "DistributedDataParallel"
    assert facts["replicas_differ_by"] == 0
    assert facts["parameter_bytes"] == facts["optimizer_bytes"] == 4 * 11_689_512
    assert facts["sent_bytes"]["allreduce_"] == 4 * 11_689_512


def test_int8_says_how_much_of_the_network_it_covers() -> None:
    facts = facts_of(family="inference", quantization="static_int8", runtime="eager")
    assert facts["int8_layers"] == facts["layers"] == {"convolutions": 20, "linear": 1}
    assert 0 < facts["output_error"] < StaticInt8.output_tolerance


def test_torchscript_says_that_it_runs_a_graph() -> None:
    facts = facts_of(
        family="inference", quantization="none", runtime="torchscript", precision="fp32"
    )
    assert facts["runtime"] == "RecursiveScriptModule"
    assert facts["graph_nodes"] > 20
    assert facts["quantized_nodes"] == 0


def test_a_scripted_int8_graph_computes_in_int8() -> None:
    facts = facts_of(family="inference", quantization="static_int8", runtime="torchscript")
    assert facts["quantized_nodes"] >= sum(facts["layers"].values())


class NamedLinear(nn.Linear):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features)


def a_batch(batch: int = 4, _: object = None) -> Batch:
    return Batch(
        inputs={"features": torch.randn(batch, 3)}, targets={"values": torch.randn(batch, 2)}
    )


LINEAR = ModelSpec(
    name="linear",
    data=None,
    presets={},
    build=lambda: NamedLinear(3, 2),
    make_batch=a_batch,
    recipe=Recipe(
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        loss=lambda outputs, targets: nn.functional.mse_loss(outputs, targets["values"]),
        loss_count=sample_count,
    ),
)


def linear_task(precision: str, rank: Rank) -> Task:
    return Task(
        module=LINEAR.build(),
        spec=LINEAR,
        precision=PRECISIONS[precision],
        rank=rank,
        example=a_batch().inputs,
        strategy="ddp",
    )


class Uncast(SingleTrainer):
    """A planted fault: the step runs outside autocast."""

    def step(self, split: Split) -> torch.Tensor:
        self.task = replace(self.task, precision=PRECISIONS["fp32"])
        return super().step(split)


def test_a_training_step_outside_autocast_is_found_out() -> None:
    task = linear_task("bf16", Rank(index=0, world_size=1, device="cpu", kept={}))
    trainer = SingleTrainer(task, task.module)
    splits = [trainer.split(a_batch())]
    proof, sent = prove_training(task, TrainingSteps(trainer, splits), 1)
    assert proof["output_dtype"] == "bfloat16"
    assert not sent.bytes
    with pytest.raises(Incorrect, match="bf16 did not take effect"):
        prove_training(task, TrainingSteps(Uncast(task, task.module), splits), 1)


@pytest.mark.parametrize("spec", registry.models().values(), ids=lambda spec: spec.name)
def test_a_model_says_how_many_layers_it_has(spec: ModelSpec) -> None:
    options = spec.presets["tiny"].options
    assert spec.pipeline_layers is not None
    assert spec.pipeline_layer_count is not None
    assert len(spec.pipeline_layers(spec.build(**options))) == spec.pipeline_layer_count(**options)


def test_more_stages_than_layers_is_a_reason() -> None:
    names = {"model": ["translation"], "variant": ["interleaved"], "precision": ["fp32"]}
    (case,) = cases(TrainingCase, SETTING, {**names, "device_count": [4], "stages": [4]})
    assert case.why_not(SETTING) == "unsupported: 7 layers cannot be cut into 8 stages"


@pytest.mark.parametrize("spec", registry.models().values(), ids=lambda spec: spec.name)
def test_a_model_says_whether_it_can_be_traced(spec: ModelSpec) -> None:
    module = spec.build(**spec.presets["tiny"].options)
    try:
        torch.fx.symbolic_trace(module)
    except Exception:  # noqa: BLE001  each of them fails in its own way
        assert not spec.is_symbolic
    else:
        assert spec.is_symbolic


def test_an_unchanged_module_is_not_quantized() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.raises(Incorrect, match="static_int8 did not take effect"):
        StaticInt8().proof(module, module)


def test_dynamic_quantization_of_convolutions_would_be_found_out() -> None:
    """It converts nothing, and was once reported as a result."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with pytest.warns(DeprecationWarning, match="torch.ao.quantization is deprecated"):
        sham = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            module, {nn.Conv2d}, dtype=torch.qint8
        )
    with pytest.raises(Incorrect, match="static_int8 did not take effect"):
        StaticInt8().proof(module, sham)


def test_an_eager_module_is_not_torchscript() -> None:
    with pytest.raises(Incorrect, match="torchscript did not take effect"):
        TorchScript().proof(nn.ReLU())


def test_a_precision_without_effect_is_refused() -> None:
    with pytest.raises(Incorrect, match="bf16 did not take effect: outputs are float32"):
        check_output_dtype(torch.zeros(1), PRECISIONS["bf16"])


@pytest.mark.parametrize("factor", [1.2, float("nan"), -1.0])
def test_a_faster_wrong_answer_does_not_pass(factor: float) -> None:
    expected = torch.linspace(1, 2, 10)
    assert check_outputs(expected, expected, 0.0) == 0.0
    with pytest.raises(Incorrect, match="outputs are off"):
        check_outputs(factor * expected, expected, 0.1)


def test_a_model_of_another_size_is_refused() -> None:
    case = next(case for case in TRAINING if case.model == "resnet18")
    spec = replace(case.spec, parameter_count=lambda **_: 11_000_000)
    with pytest.raises(Incorrect, match="11,689,512 parameters, not 11,000,000"):
        build_module(spec, case.options, "cpu")


def prove_unreduced(rank: Rank) -> str:
    torch.manual_seed(0)
    task = linear_task("fp32", rank)
    trainer = Unreduced(task)
    trainer.step(trainer.split(a_batch()))
    try:
        trainer.proof(Traffic())
    except Incorrect as error:
        return str(error)
    return "believed"


def test_replicas_that_drift_apart_are_no_ddp(worlds: Any) -> None:
    for answer in worlds(2).run(prove_unreduced):
        assert answer.startswith("ddp did not take effect")


@pytest.mark.parametrize("case", INFERENCE, ids=lambda case: case.id)
def test_what_cannot_run_has_a_reason(case: InferenceCase) -> None:
    reason = case.why_not(SETTING)
    is_refused = case.precision == "bf16" or not case.spec.is_symbolic
    if case.quantization == "static_int8" and is_refused:
        assert reason is not None
        assert reason.startswith("unsupported: static_int8")
    else:
        assert reason is None


def test_a_strategy_that_cannot_clip_as_the_recipe_does_says_so() -> None:
    case = next(case for case in TRAINING if case.strategy == "deepspeed_pipeline")
    spec = case.spec
    clipped = replace(spec, recipe=replace(spec.recipe, clip_norm=1.0))
    for strategy in registry.strategies().values():
        same = replace(case, strategy=strategy.name, variant=strategy.variants[0])
        before, reason = strategy.why_not(spec, same), strategy.why_not(clipped, same)
        assert (reason == before) == (strategy.clips_whole_norm or before is not None)


def test_a_gpu_that_is_not_there_is_a_reason() -> None:
    case = replace(TRAINING[0], strategy="single", device="cuda", device_count=64)
    assert case.why_not(SETTING) == (
        f"no_hardware: 64 CUDA devices needed, {torch.cuda.device_count()} found"
    )


def test_a_batch_smaller_than_the_world_is_a_reason() -> None:
    case = replace(TRAINING[0], strategy="ddp", batch=3, device_count=4)
    reason = "batch 3 is smaller than 4 replicas x 1 micro-batches"
    assert case.why_not(SETTING) == f"unsupported: {reason}"


@pytest.mark.parametrize("strategy", ["deepspeed_zero", "deepspeed_pipeline"])
def test_a_missing_deepspeed_or_compiler_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    case = next(case for case in TRAINING if case.strategy == strategy)
    assert case.why_not(SETTING) is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no C++ compiler" in str(case.why_not(SETTING))
    monkeypatch.setattr(deepspeed_setup, "find_spec", lambda _: None)
    assert (
        case.why_not(SETTING) == "unsupported: DeepSpeed is not installed (pip install deepspeed)"
    )
