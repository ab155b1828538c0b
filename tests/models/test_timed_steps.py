"""What is timed is what is proven: after timing, count."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpml_gate.measure.block import time_block
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare import inference, training
from hpml_models.prepare.build import build_batches, build_module
from hpml_models.prepare.inference import prove_inference
from hpml_models.prepare.step import prepare_step
from hpml_models.prepare.world_proofs import check_world
from hpml_models.types import IGNORED, SEED, Split
from hpml_steps.incorrect import Incorrect

TIMED = 5
SETTING = Setting(device="cpu", preset="tiny")


def a_case(**axes: Any) -> TrainingCase:
    usual: dict[str, Any] = {
        "model": "translation",
        "model_options": (),
        "batch": 8,
        "device_count": 1,
        "strategy": "single",
        "variant": "",
        "stages": 1,
        "micro_batches": 1,
        "precision": "fp32",
    }
    return TrainingCase.make(SETTING, {**usual, **axes})


INFERENCE = InferenceCase.make(
    SETTING,
    {
        "model": "translation",
        "model_options": (),
        "batch": 8,
        "precision": "fp32",
        "runtime": "eager",
        "quantization": "none",
    },
)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The modules that steps are prepared on."""
    modules: list[nn.Module] = []

    def build(*args: Any) -> nn.Module:
        modules.append(build_module(*args))
        return modules[-1]

    monkeypatch.setattr(training, "build_module", build)
    monkeypatch.setattr(inference, "build_module", build)
    return modules


def bare_loop(case: TrainingCase, steps: int) -> dict[str, Tensor]:
    """Train as anybody would, with nothing of the trainers."""
    spec = case.spec
    torch.manual_seed(SEED)
    model = spec.build(**spec.presets["tiny"].options)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = build_batches(spec, case, "cpu")
    for number in range(steps):
        batch = batches[number % len(batches)]
        optimizer.zero_grad()
        scores, labels = model(**batch.inputs), batch.targets["labels"]
        loss = nn.functional.cross_entropy(
            scores.flatten(0, 1), labels.flatten(), ignore_index=IGNORED
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
        optimizer.step()
    return model.state_dict()


def test_timed_steps_train_as_a_bare_loop_does(built: list[nn.Module]) -> None:
    case = a_case()
    step = prepare_step(case)
    proven = len(step.effective["losses"])
    step.measure(time_block, TIMED)
    trained = built[0].state_dict()
    for name, expected in bare_loop(case, proven + TIMED).items():
        torch.testing.assert_close(trained[name], expected, rtol=1e-4, atol=1e-6)


def test_each_step_sees_another_batch(built: list[nn.Module]) -> None:
    for case in (a_case(), INFERENCE):
        step = prepare_step(case)
        seen: list[int] = []
        built[-1].register_forward_pre_hook(
            lambda _, __, inputs, seen=seen: seen.append(int(inputs["input_ids"].sum())),
            with_kwargs=True,
        )
        step.measure(time_block, 8)
        assert len(seen) == 8
        assert len({*seen}) == 4
        assert seen[:4] == seen[4:]


def test_a_step_that_updates_nothing_is_found_out_after_timing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = prepare_step(a_case())
    step.measure(time_block, 2)
    step.observe()

    def forward_only(trainer: Any, split: Split) -> Tensor:
        batch = split.batch
        loss: Tensor = trainer.task.spec.recipe.loss(trainer.module(**batch.inputs), batch.targets)
        return loss.detach()

    monkeypatch.setattr("hpml_models.training.trainer.EagerTrainer.step", forward_only)
    step.measure(time_block, 1)
    with pytest.raises(Incorrect, match="updated the parameters"):
        step.observe()
    with pytest.raises(Incorrect, match="6 steps updated the parameters 0 times"):
        prepare_step(a_case())


def test_a_predictor_that_returns_its_first_result_ever_after_is_refused() -> None:
    case = INFERENCE
    batches = build_batches(case.spec, case, "cpu")
    module = build_module(case.spec, case.options, "cpu").eval()
    with torch.inference_mode():
        outputs = [module(**batch.inputs) for batch in batches]
    honest = iter(outputs)
    assert prove_inference(lambda: next(honest), module, batches, 1e-5)["output_error"] < 1e-5
    with pytest.raises(Incorrect, match="outputs are off"):
        prove_inference(lambda: outputs[0], module, batches, 1e-5)


def test_weights_and_batches_do_not_depend_on_what_was_drawn_before() -> None:
    facts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        facts.append(prepare_step(a_case()).effective)
    for name in ("weights", "batches", "losses"):
        assert facts[0][name] == facts[1][name]


@cache
def rank_facts() -> Mapping[str, Any]:
    return prepare_step(a_case()).effective


@pytest.mark.parametrize(
    ("fact", "change", "says"),
    [
        ("weights", lambda _: "another", "ranks have different weights"),
        ("batches", lambda batches: batches[::-1], "ranks have different batches"),
        ("losses", lambda _: [1313.0], "first loss is"),
        ("losses", lambda losses: [losses[0] * 1.001], "first loss is"),
        ("losses", lambda _: [float("nan")], "first loss is"),
        ("optimizer_bytes", lambda count: count * 2, "optimizer state on a"),
        ("sent_bytes", lambda _: {"allreduce_": 7}, "bytes to collectives"),
    ],
)
def test_ranks_that_do_not_fit_together_are_refused(
    fact: str, change: Callable[[Any], Any], says: str
) -> None:
    """Each of two ranks has half of the loss, and holds and reduces what DDP does."""
    alone = rank_facts()
    sent = {"traffic_in_theory": 100, "sent_bytes": {"allreduce_": 100}}
    facts = {**alone, **sent, "losses": [alone["losses"][0] / 2]}
    case = replace(a_case(), strategy="ddp", device_count=2)
    check_world(case, case.batch, [facts, facts])
    with pytest.raises(Incorrect, match=says):
        check_world(case, case.batch, [facts, {**facts, fact: change(facts[fact])}])


def test_a_batch_that_comes_twice_is_refused() -> None:
    facts = dict(rank_facts())
    facts["batches"] = facts["batches"][:1] * 4
    with pytest.raises(Incorrect, match="the same batch comes twice"):
        check_world(a_case(), 8, [facts])


def test_samples_that_are_left_out_are_counted() -> None:
    with pytest.raises(Incorrect, match="work on 7 samples, not 8"):
        check_world(a_case(), 7, [rank_facts()])
