"""The table of kernels: what is compared with what, and how it is shown."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hpml_kernels.cpu import available_cores
from hpml_kernels.cuda import why_not_cuda
from hpml_kernels.registry import kernels
from hpml_kernels.roofline import table
from hpml_kernels.roofline.compare import (
    Comparison,
    _restricted_to_cpus,
    at_limit,
    group_of,
    measure,
    missing_groups,
    substitute_peers,
    why_not_compared,
)
from hpml_kernels.roofline.interleave import ROUNDS, SLOW_NS, Times, interleaved
from hpml_kernels.roofline.probes import PASSES, Probe, amount_of, probes
from hpml_kernels.roofline.rows import Row, check_rows, load, rows_of
from hpml_kernels.types import Limit, Work
from hpml_steps.incorrect import Incorrect

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
    """Passes only while what is measured says so; as a device's clock it may lag behind the host's.

    A call takes ``ns`` on the device and ``issued_ns`` of the host's time.
    """

    def __init__(self) -> None:
        self.ns = self.issued_ns = 0
        self.started_ns = 0

    def call(self, ns: int, issued_ns: int | None = None) -> Callable[[], None]:
        def pass_by() -> None:
            self.ns += ns
            self.issued_ns += ns if issued_ns is None else issued_ns

        return pass_by

    def start(self) -> None:
        self.started_ns = self.ns

    def stop(self) -> int | None:
        return self.ns - self.started_ns


def in_rounds(*call_ns: float, issue_share: float | None = None) -> Times:
    return Times(call_ns=np.array(call_ns), issue_share=issue_share)


def test_every_run_has_a_time_in_each_round_but_slow_ones() -> None:
    clock = Clock()
    functions = {"fast": clock.call(1000), "slow": clock.call(2 * SLOW_NS)}
    times = interleaved(functions, now_ns=lambda: clock.ns)
    assert times["fast"].call_ns.tolist() == [1000] * ROUNDS
    slow_ns = times["slow"].call_ns
    assert slow_ns[::5].tolist() == [2 * SLOW_NS] * (ROUNDS // 5)
    assert np.isnan(np.delete(slow_ns, np.s_[::5])).all()
    assert times["slow"].issue_share is None


def test_the_time_to_issue_stands_beside_the_devices_own() -> None:
    clock = Clock()
    functions = {"quick": clock.call(10_000, 9_500), "long": clock.call(10_000, 2_000)}
    times = interleaved(functions, clock, now_ns=lambda: clock.issued_ns)
    assert times["quick"].median_ns == times["long"].median_ns == 10_000
    assert times["quick"].issue_share == pytest.approx(0.95)
    assert times["long"].issue_share == pytest.approx(0.2)


def test_a_ratio_is_that_of_one_rounds_blocks() -> None:
    """The machine is half as fast in the second round, and the ratios do not know."""
    times = {
        "numpy": in_rounds(300, 600, 300),
        "torch": in_rounds(200, 400, 200),
        "numba": in_rounds(100, 200, 100),
    }
    limits: dict[Limit, Times] = {"combine": in_rounds(50, 100, 50)}
    rows = {row.variant: row for row in rows_of(kernels()["add"], 9, "one core", times, limits)}
    assert rows["numba"].ratio_to_limit == 0.5
    assert rows["numba"].ratio_to_best_peer == 2.0
    assert rows["numpy"].ratio_to_best_peer == pytest.approx(2 / 3)
    assert {row.best_peer for row in rows.values()} == {"torch"}
    check_rows([*rows.values()])


def test_a_variant_may_have_a_limit_of_its_own() -> None:
    limits: dict[Limit, Times] = {"combine": in_rounds(10), "pcie": in_rounds(50)}
    times = {name: in_rounds(100) for name in ("cuda_naive", "cuda_host")}
    on_device, crossing = rows_of(kernels()["add"], 9, "cuda", times, limits)
    assert (on_device.limit, on_device.limit_ns, on_device.ratio_to_limit) == ("combine", 10, 0.1)
    assert (crossing.limit, crossing.limit_ns, crossing.ratio_to_limit) == ("pcie", 50, 0.5)


def test_without_a_peer_there_is_no_ratio_to_one() -> None:
    limits: dict[Limit, Times] = {"combine": in_rounds(1)}
    (row,) = rows_of(kernels()["add"], 9, "one core", {"numba": in_rounds(1)}, limits)
    assert (row.best_peer, row.ratio_to_best_peer) == (None, None)


def test_a_limit_that_is_beaten_is_no_limit() -> None:
    limits: dict[Limit, Times] = {"combine": in_rounds(131, 132, 1000)}
    rows = rows_of(kernels()["add"], 9, "one core", {"numpy": in_rounds(100, 100, 100)}, limits)
    assert rows[0].status == "incorrect"
    with pytest.raises(Incorrect, match=r"add-numpy: 1\.32 of the limit 'combine', more than 1\.3"):
        check_rows(rows)


@pytest.mark.parametrize("limit_ns", [(129, 150, 150), (200, 100, 200, 200, 100)])
def test_a_busy_machine_does_not_beat_a_limit(limit_ns: tuple[int, ...]) -> None:
    """The probe's best block is no slower, or many rounds say otherwise: the median is not all."""
    limits: dict[Limit, Times] = {"combine": in_rounds(*limit_ns)}
    times = {"numpy": in_rounds(*[100] * len(limit_ns))}
    (row,) = rows_of(kernels()["add"], 9, "one core", times, limits)
    assert row.ratio_to_limit == np.median(limit_ns) / 100 > 1.3
    assert row.status == "ok"


@pytest.mark.parametrize(("kernel_share", "probe_share"), [(0.95, 0.1), (0.1, 0.95)])
def test_what_the_host_holds_up_has_no_ratio(kernel_share: float, probe_share: float) -> None:
    """The time would be that of Python's launches, on either side of the ratio."""
    limits: dict[Limit, Times] = {"combine": in_rounds(50, issue_share=probe_share)}
    times = {
        "cuda_naive": in_rounds(100, issue_share=kernel_share),
        "cupy": in_rounds(10, issue_share=0.99),
    }
    ours, peer = rows_of(kernels()["add"], 9, "cuda", times, limits)
    assert {ours.status, peer.status} == {"launch-bound"}
    assert ours.ratio_to_limit is None
    assert "0.95 of the device's time" in ours.reason
    assert ours.ratio_to_best_peer is None  # a peer that the host holds up is no measure either
    check_rows([ours, peer])


def test_launches_are_what_the_launch_limit_measures() -> None:
    limits: dict[Limit, Times] = {"launch": in_rounds(50, issue_share=1.0)}
    (row,) = rows_of(
        kernels()["launch"], 1, "cuda", {"cuda": in_rounds(100, issue_share=1.0)}, limits
    )
    assert (row.status, row.ratio_to_limit) == ("ok", 0.5)


def test_one_core_is_one_before_anything_is_imported() -> None:
    before = os.sched_getaffinity(0)
    count = "import os; print(len(os.sched_getaffinity(0)))"
    with _restricted_to_cpus("one core"):
        child = subprocess.run([sys.executable, "-c", count], capture_output=True, check=True)
    assert child.stdout.strip() == b"1"
    assert os.sched_getaffinity(0) == before


def test_a_measured_kernel_has_a_row_for_each_variant() -> None:
    rows = measure("launch", "tiny", "one core")
    assert {row.variant for row in rows} == {"python", "numpy", "torch", "numba"}
    assert all(row.call_ns > 0 and (row.limit_ns or 0) > 0 for row in rows)


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
        y[:], out[:], x[:] = 4, 8, 2  # x may be one of the others
        result = probe.run()
        expected = {"copy": 2, "combine": 6, "accumulate": 6}
        if limit == "read":
            assert result == 2 * x.size
        else:
            assert (out == expected[limit]).all()


@pytest.mark.parametrize("limit", ["fma", "integer", "multiply", "launch"])
@pytest.mark.parametrize("parallel", [False, True])
def test_a_probe_that_computes(limit: Limit, parallel: bool) -> None:  # noqa: FBT001
    for probe in probes(limit, Work(bytes_moved=0, flops=1, integer_ops=1), parallel=parallel):
        probe.run()
        assert probe.amount >= 1
    assert amount_of(limit, Work(bytes_moved=0, flops=1, integer_ops=1)) == 1


def test_the_table_is_markdown_in_line_and_what_is_not_known_is_a_dash() -> None:
    alone = replace(ROW, kernel="contention", flops=0, best_peer=None, ratio_to_best_peer=None)
    heading, rule, *rows = table.markdown_lines([ROW, alone])
    assert len({len(line) for line in (heading, rule, *rows)}) == 1
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert cells[0][4:] == ["0.05", "24", "2", "combine", "0.9", "1.25", "numpy", "ok"]
    assert cells[1][4:] == ["0.05", "24", "-", "combine", "0.9", "-", "-", "ok"]


def test_the_terminals_table_fits_100_columns() -> None:
    long = replace(
        ROW,
        kernel="zero_suppression",
        variant="numexpr_parallel",
        group="all cores",
        best_peer="numexpr_parallel",
        size=2**26,
        status="incorrect",
        reason="beaten",
    )
    lines = [*table.terminal_lines([ROW, long])]
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    for word in ("one core", "all cores", "numexpr_parallel", "1.25 numpy", "2 GFLOP/s", "beaten"):
        assert word in text


@pytest.mark.skipif(why_not_cuda() is None, reason="there is a CUDA device")
def test_what_was_not_run_is_said() -> None:
    assert [*missing_groups()][-1] == f"cuda: not run ({why_not_cuda()})"
    assert why_not_compared("add", "cuda", "tiny") == why_not_cuda()


def test_the_picture_names_kernels_and_roofs(tmp_path: Path) -> None:
    matmul = replace(ROW, kernel="matmul", limit="fma", flops=10**6, call_ns=20_000.0)
    bound = replace(ROW, kernel="copy", status="launch-bound", ratio_to_limit=None, limit_ns=None)
    rows = [ROW, matmul, replace(ROW, variant="numpy", is_peer=True), bound]
    table.write(rows, tmp_path)
    drawn = (tmp_path / "roofline.svg").read_text(encoding="utf-8")
    assert ET.fromstring(drawn).tag.endswith("svg")
    for text in ("<!-- add -->", "<!-- matmul -->", "<!-- combine 27 GB/s over 0.0012 MB -->"):
        assert text in drawn
    assert {one.name for one in tmp_path.iterdir()} == {
        "kernels.md",
        "kernels.json",
        "roofline.svg",
    }
    assert load(tmp_path / "kernels.json") == rows


def test_rows_that_are_none_are_refused_by_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"kernel": "add"}]')
    with pytest.raises(ValueError, match=r"rows\.json holds no rows of kernels"):
        load(tmp_path / "rows.json")


def test_the_fastest_probe_that_no_host_holds_up_is_the_limit() -> None:
    ways = [Probe(name=name, run=int, amount=10) for name in ("slow", "fast", "held up")]
    times = {
        "slow": in_rounds(40, issue_share=0.1),
        "fast": in_rounds(20, issue_share=0.1),
        "held up": in_rounds(10, issue_share=1.0),
    }
    limit = at_limit(ways, "copy", Work(bytes_moved=100), times)
    assert limit.median_ns == 200


def test_a_comparison_survives_a_measurement_that_failed() -> None:
    with Comparison() as comparison:
        for _ in range(2):
            with pytest.raises(KeyError, match="no_such_kernel"):
                comparison.measure("no_such_kernel", "tiny", "one core")


@pytest.mark.parametrize(
    ("name", "peers"),
    [
        ("monte_carlo_pi", {"numpy", "numpy_words"}),  # faster on one core than torch on all
        ("matmul", set()),  # numpy has a form of its own for all cores
        ("philox", {"numpy"}),
    ],
)
def test_all_cores_are_compared_with_peers_on_one_core_too(name: str, peers: set[str]) -> None:
    kernel = kernels()[name]
    members = [one for one, variant in kernel.variants.items() if group_of(variant) == "all cores"]
    assert {*substitute_peers(kernel, members, "all cores", "tiny")} == peers
