"""Kernels: the same arithmetic in numpy, numba and CUDA."""

import pytest

from hpml_gate.bench import Bench
from hpml_kernels.registry import kernels
from hpml_kernels.step import kernel_id, prepare_kernel


def test_kernel(bench: Bench, kernel: str, variant: str, request: pytest.FixtureRequest) -> None:
    """One call on inputs that lie where the variant computes."""
    registered = kernels()[kernel].variants[variant]
    if reason := registered.why_not():
        pytest.skip(reason)
    preset = request.config.getoption("preset")
    case_id = kernel_id(kernel, variant, preset)
    bench(prepare_kernel, kernel, variant, preset, case_id=case_id, cpus=registered.cpus)
