"""Kernels: the same arithmetic in numpy, numba and CUDA."""

from dataclasses import asdict

import pytest

from hpml_gate.bench import Bench
from hpml_gate.run.cells import Cell
from hpml_kernels.case import KernelCase
from hpml_kernels.roofline.case import ComparisonCase
from hpml_kernels.roofline.compare import Comparison
from hpml_kernels.roofline.rows import check_rows
from hpml_kernels.step import prepare_kernel


@pytest.mark.family("kernel")
def test_kernel(bench: Bench, case: KernelCase) -> None:
    """One call on inputs that lie where the variant computes."""
    bench(prepare_kernel, case, case_id=case.id, cpus=case.cpus)


@pytest.mark.family("limits")
def test_kernel_beside_limits(
    comparison: Comparison, case: ComparisonCase, gate_cell: Cell
) -> None:
    """All variants of a group beside the machine's limit and the best peer, in turn."""
    rows = comparison.measure(case.kernel, case.preset, case.group)
    gate_cell.tables["kernels"] = [asdict(row) for row in rows]
    check_rows(rows)
