"""What CUDA kernels compile to, read without a device: NVVM's code, and what ptxas makes of it."""

import shutil
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from numba import cuda
from numba.core import sigutils
from numba.cuda import dispatcher
from numba.cuda.cudadrv.error import NvvmSupportError

from hpml_kernels.registry import kernels
from hpml_kernels.types import DeviceCode

CAPABILITY = (9, 0)
compile_ptx: Any = cuda.compile_ptx
normalize: Any = sigutils.normalize_signature
CODES = {
    f"{kernel.name}-{name}": variant.code
    for kernel in kernels().values()
    for name, variant in kernel.variants.items()
    if variant.code
}


@pytest.fixture(autouse=True)
def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let device functions compile: numba asks the device for its capability."""
    device = SimpleNamespace(compute_capability=CAPABILITY)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)


def ptx_of(code: DeviceCode) -> str:
    arguments, _ = normalize(code.signature)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oldest capability that NVVM still compiles for
        try:
            ptx, _ = compile_ptx(code.function.py_func, arguments, cc=CAPABILITY)
        except NvvmSupportError as error:
            pytest.skip(f"NVVM is not installed: {error}")
    return str(ptx)


@pytest.mark.parametrize("name", CODES)
def test_a_kernel_compiles_to_what_it_says(name: str) -> None:
    ptx = ptx_of(CODES[name])
    missing = [one for one in CODES[name].instructions if one not in ptx]
    assert not missing


@pytest.mark.parametrize("name", CODES)
def test_registers_suffice(name: str, tmp_path: Path) -> None:
    ptxas = shutil.which("ptxas")
    if ptxas is None:
        pytest.skip("ptxas is not installed")
    source = tmp_path / "kernel.ptx"
    source.write_text(ptx_of(CODES[name]))
    report = assemble(ptxas, source)
    assert "0 bytes spill stores, 0 bytes spill loads" in report


def assemble(ptxas: str, source: Path) -> str:
    major, minor = CAPABILITY
    options: list[Any] = ["-v", f"-arch=sm_{major}{minor}", "-o", source.with_suffix(".cubin")]
    done = subprocess.run([ptxas, *options, source], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr
