"""Kernels: the same arithmetic in numpy, numba and CUDA."""

from collections.abc import Callable, Iterable

import pytest

from hpml_gate.bench import Bench
from hpml_kernels.registry import kernels
from hpml_kernels.roofline.compare import Comparison, why_not_compared
from hpml_kernels.roofline.rows import Group, Row, check_rows
from hpml_kernels.step import kernel_id, prepare_kernel, why_not


def test_kernel(bench: Bench, kernel: str, variant: str, request: pytest.FixtureRequest) -> None:
    """One call on inputs that lie where the variant computes."""
    preset = request.config.getoption("preset")
    if reason := why_not(kernel, variant, preset):
        pytest.skip(reason)
    case_id, cpus = kernel_id(kernel, variant, preset), kernels()[kernel].variants[variant].cpus
    bench(prepare_kernel, kernel, variant, preset, case_id=case_id, cpus=cpus)


def test_kernel_beside_limits(
    comparison: Comparison,
    kernel: str,
    group: Group,
    report_kernels: Callable[[Iterable[Row]], None],
    request: pytest.FixtureRequest,
) -> None:
    """All variants of a group beside the machine's limit and the best peer, in turn."""
    preset = request.config.getoption("preset")
    if reason := why_not_compared(kernel, group, preset):
        pytest.skip(reason)
    rows = comparison.measure(kernel, preset, group)
    report_kernels(rows)
    check_rows(rows)
