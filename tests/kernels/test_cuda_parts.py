"""What CUDA kernels need of a machine: named where it is missing, restored where numpy lost it."""

import subprocess
import sys

import pytest

from hpml_kernels import cuda


def why_not(monkeypatch: pytest.MonkeyPatch, *missing: str, has_device: bool = True) -> str | None:
    """Return the reason on a machine that has a device, or none, and lacks libraries."""
    there = {name: name not in missing for name in cuda.LIBRARIES}
    monkeypatch.setattr(cuda, "_has_device", lambda: has_device)
    libraries = {name: lambda name=name: there[name] for name in cuda.LIBRARIES}
    monkeypatch.setattr(cuda, "LIBRARIES", libraries)
    return cuda.why_not_cuda.__wrapped__()


@pytest.mark.parametrize("missing", [["libnvvm"], ["nvJitLink"], ["libnvvm", "nvJitLink"]])
def test_a_library_that_is_missing_is_named(
    missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a device, so this is no lack of hardware."""
    reason = why_not(monkeypatch, *missing)
    assert reason is not None
    assert reason.startswith(cuda.NO_LIBRARY)
    assert all(name in reason for name in missing)
    assert "pip install" in reason


def test_nothing_is_missing_where_there_are_a_device_and_libraries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert why_not(monkeypatch) is None


def test_without_a_device_hardware_is_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = why_not(monkeypatch, "libnvvm", has_device=False)
    assert str(reason).startswith("no_hardware")


WITHOUT_ROW_STACK = """
import warnings
from types import SimpleNamespace
import numpy as np
warnings.simplefilter("error")
vars(np).pop("row_stack", None)  # as in numpy 2.5
from hpml_kernels.cuda import cuda
from hpml_kernels.kernels.add import add_cuda
from numba import float32
from numba.cuda import dispatcher
dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=(9, 0))
warnings.simplefilter("ignore")
ptx, _ = cuda.compile_ptx(add_cuda.py_func, (float32[::1],) * 3, cc=(9, 0))
print("add.f32" in ptx)
"""


def test_kernels_compile_beside_a_numpy_without_row_stack() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROW_STACK], text=True, capture_output=True, check=False
    )
    assert done.stdout.split() == ["True"], done.stderr
