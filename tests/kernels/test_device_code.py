"""What CUDA kernels compile to, read without a device: NVVM's code, and what ptxas makes of it."""

import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda.pathfinder import find_nvidia_binary_utility
from numba import cuda, njit, typeof
from numba.core import sigutils
from numba.cuda import dispatcher

from hpml_kernels.cpu import aligned
from hpml_kernels.registry import kernels
from hpml_kernels.roofline import cuda_probes
from hpml_kernels.roofline.probes import PRODUCTS
from hpml_kernels.simd.circle_test import IN_WORD
from hpml_kernels.simd.cuda_vectors import load4, store4
from hpml_kernels.types import DeviceCode, Kernel

CAPABILITY = (9, 0)
ON_STACK = {"polar_distance-cuda_naive-polar_cuda"}  # the cosine of a large angle works on an array
compile_ptx: Any = cuda.compile_ptx
normalize: Any = sigutils.normalize_signature
type_of: Any = typeof
CODES = {
    f"{kernel.name}-{name}-{code.function.py_func.__name__}": (kernel, code)
    for kernel in kernels().values()
    for name, variant in kernel.variants.items()
    for code in variant.codes
}


@pytest.fixture(autouse=True)
def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let device functions compile: numba asks the device for its capability."""
    device = SimpleNamespace(compute_capability=CAPABILITY)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)


def arguments_of(kernel: Kernel, code: DeviceCode) -> Any:
    if code.signature is not None:
        return normalize(code.signature)[0]
    inputs = kernel.make_inputs(100, np.random.default_rng(0))
    return tuple(type_of(one) for one in (*inputs, kernel.make_out(*inputs)))


def ptx_of(name: str) -> str:
    kernel, code = CODES[name]
    return compiled(code.function, arguments_of(kernel, code))


def compiled(function: Any, arguments: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oldest capability that NVVM still compiles for
        ptx, _ = compile_ptx(function.py_func, arguments, cc=CAPABILITY)
    return str(ptx)


@pytest.mark.parametrize("name", CODES)
def test_a_kernel_compiles_to_what_it_says(name: str) -> None:
    _, code = CODES[name]
    ptx = ptx_of(name)
    missing = [one for one in code.instructions if one not in ptx]
    assert not missing


@pytest.mark.parametrize("name", CODES)
def test_registers_suffice(name: str, tmp_path: Path) -> None:
    source = tmp_path / "kernel.ptx"
    source.write_text(ptx_of(name))
    report = assemble(source)
    assert "0 bytes spill stores, 0 bytes spill loads" in report
    assert name in ON_STACK or "0 bytes stack frame" in report


@pytest.mark.parametrize(
    ("kernel", "signature", "instruction", "in_a_round"),
    [
        (cuda_probes.multiply_add, "void(float32[::1])", "fma.rn.f32", cuda_probes.CHAINS),
        (cuda_probes.count_in_circle, "void(uint64[::1])", "setp.lt.u64", IN_WORD),
        (cuda_probes.multiply, "void(uint64[::1])", "mul.lo.s64", PRODUCTS),
    ],
)
def test_what_a_probe_counts_is_left_in_its_code(
    kernel: Any, signature: str, instruction: str, in_a_round: int
) -> None:
    """As many as a round has at the least: the compiler has not seen through the loop."""
    ptx = compiled(kernel, normalize(signature)[0])
    assert ptx.count(instruction) >= in_a_round


def test_four_elements_are_read_and_written_in_their_order() -> None:
    """LLVM makes the same loads and stores for the CPU, where they can run."""

    @njit
    def double(x: Any, out: Any) -> None:
        for i in range(0, x.size, 4):
            a, b, c, d = load4(x, i)
            store4(out, i, (2 * a, 2 * b, 2 * c, 2 * d))

    x, out = (aligned(16, np.float32) for _ in range(2))
    x[:] = np.arange(16)
    double(x, out)
    assert out.tolist() == (2 * x).tolist()
    assert double.nopython_signatures


def assemble(source: Path) -> str:
    ptxas = find_nvidia_binary_utility("ptxas")
    assert ptxas is not None
    major, minor = CAPABILITY
    options: list[Any] = ["-v", f"-arch=sm_{major}{minor}", "-o", source.with_suffix(".cubin")]
    done = subprocess.run([ptxas, *options, source], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr
