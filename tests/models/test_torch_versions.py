"""What a version of torch cannot do is refused with the version, and nothing else is."""

from typing import Any

import pytest

from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.strategies import pipeline
from hpml_steps.axes import cases

SETTING = Setting(device="cpu", preset="tiny")


@pytest.mark.parametrize("version", ["2.11.0+cu130", "2.14.0"])
@pytest.mark.parametrize("model", ["resnet18", "translation"])
@pytest.mark.parametrize("variant", ["1f1b", "interleaved", "zero_bubble"])
def test_an_unused_input_is_refused_where_torch_wants_its_gradient(
    monkeypatch: pytest.MonkeyPatch, version: str, model: str, variant: str
) -> None:
    monkeypatch.setattr(pipeline, "version", lambda _: version)
    names: dict[str, list[Any]] = {
        "model": [model],
        "strategy": ["pipeline"],
        "variant": [variant],
        "stages": [2],
    }
    case, *_ = cases(TrainingCase, SETTING, {**names, "device_count": [2]})
    reason = case.why_not(SETTING)
    is_refused = version < "2.14" and model == "translation" and variant != "1f1b"
    assert (reason is not None and version in reason) == is_refused
    assert is_refused or reason is None
