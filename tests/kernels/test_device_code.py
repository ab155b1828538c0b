"""What CUDA kernels compile to, read without a device: NVVM's code, and what ptxas makes of it."""

import importlib.util
import re
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda.bindings import nvjitlink
from cuda.pathfinder import find_nvidia_binary_utility
from numba import cuda, njit, typeof
from numba.core import sigutils
from numba.cuda import dispatcher

from hpml_kernels.cpu import aligned
from hpml_kernels.registry import kernels
from hpml_kernels.roofline import cuda_probes
from hpml_kernels.simd.circle_test import IN_WORD
from hpml_kernels.simd.cuda_vectors import load4, store4
from hpml_kernels.types import DeviceCode, Kernel

CAPABILITY = (9, 0)
ON_STACK = {"polar_distance-cuda_naive-polar_cuda"}  # the cosine of a large angle works on an array
compile_ptx: Any = cuda.compile_ptx
cuda_compile: Any = cuda.compile
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


def compiled(function: Any, arguments: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the oldest capability that NVVM still compiles for
        ptx, _ = compile_ptx(function.py_func, arguments, cc=CAPABILITY)
    return str(ptx)


@pytest.mark.parametrize("name", CODES)
def test_a_kernel_compiles_to_what_it_says(name: str, tmp_path: Path) -> None:
    """Its PTX for ptxas, and what runs: LTO-IR that nvJitLink links for this one architecture."""
    kernel, code = CODES[name]
    arguments = arguments_of(kernel, code)
    ptx = compiled(code.function, arguments)
    missing = [one for one in code.instructions if one not in ptx]
    assert not missing
    source = tmp_path / "kernel.ptx"
    source.write_text(ptx)
    report = assemble(source)
    assert "0 bytes spill stores, 0 bytes spill loads" in report
    assert name in ON_STACK or "0 bytes stack frame" in report
    run = opcodes_of(linked(code.function, arguments, tmp_path))
    assert not {ptx_name for ptx_name in code.instructions if not holds(run, ptx_name)}
    if name not in ON_STACK:  # registers that do not suffice lie in local memory
        assert not [one for one in run if one.startswith(("LDL", "STL"))]


@pytest.mark.parametrize(
    ("kernel", "signature", "instruction", "share"),
    [
        (cuda_probes.multiply_add, "void(float32[::1])", "FFMA", 0.95),
        # A zero is added to each upper half, in another of the device's pipes.
        (cuda_probes.multiply, "void(uint64[::1])", "IMAD.WIDE.U32", 0.4),
    ],
)
def test_a_probe_does_little_but_what_it_counts(
    kernel: Any, signature: str, instruction: str, share: float, tmp_path: Path
) -> None:
    body = loop_of(linked(kernel, normalize(signature)[0], tmp_path))
    counted = [one for one in body if one == instruction]
    assert len(counted) >= share * len(body)
    assert len(counted) >= 32


def test_every_test_of_a_point_is_left_in_the_probes_code(tmp_path: Path) -> None:
    """The compiler has not seen through the loop: each round compares every point of its words."""
    signature = normalize("void(uint64[::1])")[0]
    body = loop_of(linked(cuda_probes.count_in_circle, signature, tmp_path))
    tests = [one for one in body if one.startswith("ISETP") and ".EX" in one]
    assert len(tests) >= int(cuda_probes.FOUR) * IN_WORD


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


SASS = {  # what an instruction of PTX is on the device; where there are several, any
    "ld.global.v4.f32": ("LDG.E.128",),
    "st.global.v4.f32": ("STG.E.128",),
    "ld.global.u64": ("LDG.E.64",),
    "shfl.sync.bfly.b32": ("SHFL.BFLY",),
    "ld.shared.f32": ("LDS",),
    "st.shared.f32": ("STS",),
    "ld.shared.u64": ("LDS.64",),
    "bar.sync": ("BAR.SYNC",),
    "fma.rn.f32": ("FFMA",),
    "atom.global.add.u64": ("ATOMG.E.ADD.64", "RED.E.ADD.64", "REDG.E.ADD.64"),
    "atom.shared.add.u64": ("ATOMS",),
    "atom.shared.add.u32": ("ATOMS",),
}


def holds(opcodes: list[str], instruction: str) -> bool:
    return any(one.startswith(SASS[instruction]) for one in opcodes)


def linked(function: Any, arguments: Any, folder: Path) -> list[str]:
    """Return the lines of a kernel's SASS, made as ``cuda.jit`` makes it: from LTO-IR."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"cc": CAPABILITY, "output": "ltoir", "device": False, "abi": "numba"}
        code, _ = cuda_compile(function.py_func, arguments, **how)
    major, minor = CAPABILITY
    options = [f"-arch=sm_{major}{minor}", "-lto"]
    linker = nvjitlink.create(len(options), options)
    nvjitlink.add_data(linker, nvjitlink.InputType.LTOIR, code, len(code), "kernel")
    nvjitlink.complete(linker)
    cubin = bytearray(nvjitlink.get_linked_cubin_size(linker))
    nvjitlink.get_linked_cubin(linker, cubin)
    (folder / "kernel.cubin").write_bytes(cubin)
    return disassembled(folder / "kernel.cubin")


def disassembled(cubin: Path) -> list[str]:
    triton = importlib.util.find_spec("triton")
    assert triton is not None
    assert triton.origin is not None
    nvdisasm = Path(triton.origin).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
    done = subprocess.run([nvdisasm, "-c", cubin], text=True, capture_output=True, check=True)
    return done.stdout.splitlines()


INSTRUCTION = re.compile(
    r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+\s+)?(?P<opcode>[A-Z][\w.]*)(?P<rest>[^;]*);"
)
LABEL = re.compile(r"\s*(\.L_x_\d+):")


def opcodes_of(lines: list[str]) -> list[str]:
    return [found["opcode"] for line in lines if (found := INSTRUCTION.search(line))]


def loop_of(lines: list[str]) -> list[str]:
    """Return the opcodes of the longest loop: from a label to the branch back to it."""
    labels: dict[str, int] = {}
    opcodes: list[str] = []
    longest: list[str] = []
    for line in lines:
        if label := LABEL.match(line):
            labels[label[1]] = len(opcodes)
        if found := INSTRUCTION.search(line):
            opcodes.append(found["opcode"])
            target = re.search(r"\.L_x_\d+", found["rest"])
            if found["opcode"] == "BRA" and target and target[0] in labels:
                longest = max(longest, opcodes[labels[target[0]] :], key=len)
    return longest
