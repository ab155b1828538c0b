"""Kernels: the same arithmetic in numpy, numba and CUDA."""

from collections.abc import Callable, Iterable

import pytest

from hpml_gate.bench import Bench
from hpml_kernels.case import KernelCase
from hpml_kernels.roofline.case import ComparisonCase
from hpml_kernels.roofline.compare import Comparison
from hpml_kernels.roofline.rows import Row, check_rows
from hpml_kernels.step import prepare_kernel


@pytest.mark.family("kernel")
def test_kernel(bench: Bench, case: KernelCase) -> None:
    """One call on inputs that lie where the variant computes."""
    bench(prepare_kernel, case, case_id=case.id, cpus=case.cpus)


@pytest.mark.family("limits")
def test_kernel_beside_limits(
    comparison: Comparison, case: ComparisonCase, report_kernels: Callable[[Iterable[Row]], None]
) -> None:
    """All variants of a group beside the machine's limit and the best peer, in turn."""
    rows = comparison.measure(case.kernel, case.preset, case.group)
    report_kernels(rows)
    check_rows(rows)
