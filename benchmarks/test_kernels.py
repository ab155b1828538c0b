"""Kernels: the same arithmetic in numpy, numba and CUDA."""

from collections.abc import Callable

import pytest

from hpml_gate.bench import Bench
from hpml_kernels.registry import kernels
from hpml_kernels.step import kernel_id, prepare_kernel, why_not


def test_kernel(
    bench: Bench,
    kernel: str,
    variant: str,
    report_kernel: Callable[[str], None],
    request: pytest.FixtureRequest,
) -> None:
    """One call on inputs that lie where the variant computes."""
    preset = request.config.getoption("preset")
    if reason := why_not(kernel, variant, preset):
        pytest.skip(reason)
    case_id, cpus = kernel_id(kernel, variant, preset), kernels()[kernel].variants[variant].cpus
    if bench(prepare_kernel, kernel, variant, preset, case_id=case_id, cpus=cpus):
        report_kernel(kernel)
