"""The table of kernels: what is compared with what, and how it is shown."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpml_kernels.cpu import available_cores
from hpml_kernels.cuda import why_not_cuda
from hpml_kernels.registry import kernels
from hpml_kernels.roofline import table
from hpml_kernels.roofline.compare import (
    ROUNDS,
    SLOW_NS,
    Row,
    _held_to_cpus,
    interleaved,
    measure,
    rows_of,
)
from hpml_kernels.roofline.probes import PASSES, amount_of, probes
from hpml_kernels.types import Limit, Work

ROW = Row(
    kernel="add",
    variant="numba",
    group="one core",
    size=100,
    limit="combine",
    is_peer=False,
    call_ns=50.0,
    limit_ns=45.0,
    bytes_moved=1200,
    flops=100,
    ratio_to_limit=0.9,
    best_peer="numpy",
    ratio_to_best_peer=1.25,
)


class Clock:
    """Passes only while what is measured says so."""

    def __init__(self) -> None:
        self.ns = 0

    def call(self, ns: int) -> Callable[[], None]:
        def pass_by() -> None:
            self.ns += ns

        return pass_by


def test_every_run_has_a_time_in_each_round_but_slow_ones() -> None:
    clock = Clock()
    runs = {"fast": clock.call(1000), "slow": clock.call(2 * SLOW_NS)}
    times = interleaved(runs, now_ns=lambda: clock.ns)
    assert times["fast"].tolist() == [1000] * ROUNDS
    assert times["slow"][::5].tolist() == [2 * SLOW_NS] * (ROUNDS // 5)
    assert np.isnan(np.delete(times["slow"], np.s_[::5])).all()


def test_a_ratio_is_that_of_one_rounds_blocks() -> None:
    """The machine is half as fast in the second round, and the ratios do not know."""
    slower = np.array([1.0, 2.0, 1.0])
    times = {"numpy": 300 * slower, "torch": 200 * slower, "numba": 100 * slower}
    limits_ns: dict[Limit, Any] = {"combine": 50 * slower}
    rows = rows_of(kernels()["add"], 9, "one core", times, limits_ns)
    found = {row.variant: row for row in rows}
    assert found["numba"].ratio_to_limit == 0.5
    assert found["numba"].ratio_to_best_peer == 2.0
    assert found["numpy"].ratio_to_best_peer == pytest.approx(2 / 3)
    assert {row.best_peer for row in found.values()} == {"torch"}


def test_a_variant_may_have_a_limit_of_its_own() -> None:
    limits_ns: dict[Limit, Any] = {"combine": np.full(3, 10.0), "pcie": np.full(3, 50.0)}
    times = {name: np.full(3, 100.0) for name in ("cuda_naive", "cuda_host")}
    on_device, crossing = rows_of(kernels()["add"], 9, "cuda", times, limits_ns)
    assert (on_device.limit, on_device.limit_ns, on_device.ratio_to_limit) == ("combine", 10, 0.1)
    assert (crossing.limit, crossing.limit_ns, crossing.ratio_to_limit) == ("pcie", 50, 0.5)


def test_without_a_peer_there_is_no_ratio_to_one() -> None:
    limits_ns: dict[Limit, Any] = {"combine": np.ones(3)}
    (row,) = rows_of(kernels()["add"], 9, "one core", {"numba": np.ones(3)}, limits_ns)
    assert (row.best_peer, row.ratio_to_best_peer) == (None, None)


def test_one_core_is_one_before_anything_is_imported() -> None:
    before = os.sched_getaffinity(0)
    count = "import os; print(len(os.sched_getaffinity(0)))"
    with _held_to_cpus("one core"):
        child = subprocess.run([sys.executable, "-c", count], capture_output=True, check=True)
    assert child.stdout.strip() == b"1"
    assert os.sched_getaffinity(0) == before


def test_a_measured_kernel_has_a_row_for_each_variant() -> None:
    rows = measure("launch", "tiny", "one core")
    assert {row.variant for row in rows} == {"python", "numpy", "torch", "numba"}
    assert all(row.call_ns > 0 and row.limit_ns > 0 for row in rows)


@pytest.mark.skipif(available_cores() == 1, reason="no_hardware: one core")
def test_where_no_peer_uses_all_cores_one_on_one_core_stands_in() -> None:
    (row,) = measure("philox", "tiny", "all cores")
    assert (row.variant, row.best_peer) == ("numba_parallel", "numpy")
    assert row.ratio_to_best_peer is not None


@pytest.mark.parametrize("limit", PASSES)
@pytest.mark.parametrize("parallel", [False, True])
def test_a_probe_moves_what_it_says(limit: Limit, parallel: bool) -> None:  # noqa: FBT001
    for probe in probes(limit, Work(bytes_moved=300_000), parallel=parallel):
        assert probe.amount == pytest.approx(300_000, rel=0.05)
        assert isinstance(probe.run, partial)
        x, y, out, _ = probe.run.args
        assert probe.amount == 4 * PASSES[limit] * x.size
        x[:], y[:], out[:] = 2, 4, 8
        result = probe.run()
        expected = {"copy": 2, "combine": 6, "accumulate": 6}
        if limit == "read":
            assert result == 2 * x.size
        else:
            assert (out == expected[limit]).all()


@pytest.mark.parametrize("limit", ["fma", "integer", "multiply", "launch"])
@pytest.mark.parametrize("parallel", [False, True])
def test_a_probe_that_computes(limit: Limit, parallel: bool) -> None:  # noqa: FBT001
    (probe,) = probes(limit, Work(bytes_moved=0, flops=1, integer_ops=1), parallel=parallel)
    probe.run()
    assert probe.amount >= 1
    assert amount_of(limit, Work(bytes_moved=0, flops=1, integer_ops=1)) == 1


def test_the_table_is_markdown_in_line_and_what_is_not_known_is_a_dash() -> None:
    alone = replace(ROW, kernel="contention", flops=0, best_peer=None, ratio_to_best_peer=None)
    heading, rule, *rows = table.lines([ROW, alone])
    assert len({len(line) for line in (heading, rule, *rows)}) == 1
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert cells[0][4:] == ["0.05", "24", "2", "combine", "0.9", "1.25", "numpy"]
    assert cells[1][4:] == ["0.05", "24", "-", "combine", "0.9", "-", "-"]


@pytest.mark.skipif(why_not_cuda() is None, reason="there is a CUDA device")
def test_what_was_not_run_is_said_below_the_table() -> None:
    *_, last = table.report([ROW])
    assert last == f"cuda: not run ({why_not_cuda()})"


def test_the_picture_names_kernels_and_roofs(tmp_path: Path) -> None:
    matmul = replace(ROW, kernel="matmul", limit="fma", flops=10**6, call_ns=20_000.0)
    table.write([ROW, matmul, replace(ROW, variant="numpy", is_peer=True)], tmp_path)
    drawn = (tmp_path / "roofline.svg").read_text(encoding="utf-8")
    assert ET.fromstring(drawn).tag.endswith("svg")
    for text in ("<!-- add -->", "<!-- matmul -->", "<!-- combine 27 GB/s over 0.0012 MB -->"):
        assert text in drawn
    assert {one.name for one in tmp_path.iterdir()} == {
        "kernels.md",
        "kernels.json",
        "roofline.svg",
    }
