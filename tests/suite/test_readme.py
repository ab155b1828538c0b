"""What the README shows works as it stands there."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scripted import Run, RunSuite

from hpml_kernels.call import bind, check_result

if TYPE_CHECKING:
    from hpml_kernels.types import Kernel

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
KERNEL_EXAMPLE, GATE_EXAMPLE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_kernel_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "readme_kernel.py").write_text(KERNEL_EXAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    import readme_kernel  # type: ignore[import-not-found]

    kernel: Kernel = readme_kernel.KERNEL
    inputs = kernel.make_inputs(1000, np.random.default_rng(0))
    bound = bind(kernel, "numba", inputs)
    bound.run()
    check_result(kernel, bound.result(), kernel.reference(*inputs))
    assert "-> none" in bound.effective()["signature"]
    del sys.modules["readme_kernel"]


def test_the_gate_in_a_suite_of_ones_own(run_suite: RunSuite) -> None:
    folder = run_suite("--collect-only").folder
    (folder / "test_suite.py").write_text(GATE_EXAMPLE)
    run = Run(folder)
    assert run.status == 0
    assert "gate: 1 new" in run.output


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_an_option_it_names_exists(pytestconfig: pytest.Config, option: str) -> None:
    assert option.removeprefix("--").replace("-", "_") in vars(pytestconfig.option)
