"""The files that the docs tell a reader to write do what the docs say of them."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scripted import RunSuite

from hpml_gate.measure.block import time_block
from hpml_kernels.call import bind, check_result
from hpml_models import models
from hpml_models.cases import registry
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.prepare.step import prepare_step
from hpml_steps.axes import axes_of, cases

if TYPE_CHECKING:
    from hpml_kernels.types import Kernel

ROOT = Path(__file__).parents[2]
LAYOUTS = ("contiguous", "channels_last")


def block(page: str, first_words: str) -> str:
    """Return the block of Python that begins so."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (found,) = [one for one in blocks if one.startswith(first_words)]
    return str(found)


def test_the_kernel_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = block("CONTRIBUTING.md", '"""hpml_kernels/kernels/')
    (tmp_path / "example_kernel.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    import example_kernel  # type: ignore[import-not-found]

    kernel: Kernel = example_kernel.KERNEL
    inputs = kernel.make_inputs(1000, np.random.default_rng(0))
    bound = bind(kernel, "numba", inputs)
    bound.run()
    check_result(kernel, bound.result(), kernel.reference(*inputs))
    assert "-> none" in bound.effective()["signature"]
    del sys.modules["example_kernel"]


@pytest.fixture
def perceptron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example's file among the models that there are."""
    example = block("CONTRIBUTING.md", '"""hpml_models/models/perceptron.py')
    (tmp_path / "perceptron.py").write_text(example)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    find_again: Callable[[], None] = registry._found.cache_clear  # noqa: SLF001
    find_again()
    yield
    find_again()
    del sys.modules["hpml_models.models.perceptron"]


@pytest.mark.usefixtures("perceptron")
def test_the_model_is_one_file() -> None:
    setting = Setting(device="cpu", preset="tiny")
    names = {"model": ["perceptron"], "precision": ["fp32"]}
    training = cases(TrainingCase, setting, {**names, "strategy": ["single"]})
    inference = cases(InferenceCase, setting, names)
    listed: list[TrainingCase | InferenceCase] = [*training, *inference]
    runnable = [case for case in listed if not case.why_not(setting)]
    assert {case.family for case in runnable} == {"train", "inference"}
    for case in runnable:
        step = prepare_step(case)
        assert step.measure(time_block, 1)[0].ns > 0
        step.close()


def test_the_axis_is_one_field() -> None:
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(block("CONTRIBUTING.md", "from dataclasses"), namespace)  # noqa: S102  the docs' own
    kind = namespace["LayoutCase"]
    setting = Setting(device="cpu", preset="tiny")
    usual, swept = (cases(kind, setting, given) for given in ({}, {"memory_format": LAYOUTS}))
    assert len(swept) == 2 * len(usual)
    assert {case.id for case in usual} == {case.id for case in cases(InferenceCase, setting)}
    assert {case.id for case in swept} > {f"{case.id}-channels_last" for case in usual}
    assert axes_of(kind)[-1].option == "--memory-format"
    assert {case.axes["memory_format"] for case in swept} == set(LAYOUTS)


def test_the_gate_in_a_suite_of_ones_own(tmp_path: Path, run_suite: RunSuite) -> None:
    (tmp_path / "test_suite.py").write_text(block("docs/gate/tutorial.md", "from hpml_gate"))
    run = run_suite()
    assert run.status == 0
    assert "gate: 1 new" in run.output


@pytest.mark.parametrize("page", ["README.md", "docs/gate/reference.md"])
def test_the_options_of_a_table_exist(pytestconfig: pytest.Config, page: str) -> None:
    named = set(re.findall(r"`(--[a-z-]+)", (ROOT / page).read_text()))
    assert named
    assert {one.removeprefix("--").replace("-", "_") for one in named} <= vars(
        pytestconfig.option
    ).keys()
