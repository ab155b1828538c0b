"""The plugin in a pytest that gates nothing, and where the gate cannot measure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpml_gate.measure import environment
from hpml_gate.run.settings import margin_of_marker, percent

SUITE = """
from hpml_gate import FunctionStep

def prepare():
    return FunctionStep(run=list)

def test_one(bench):
    bench(prepare)

def test_unit():
    pass
"""
HEAVY = "('numpy', 'scipy', 'psutil', 'msgspec', 'hpml_gate.active', 'hpml_gate.baselines')"


def run_pytest(
    folder: Path, *arguments: str, before: str = "pass", after: str = "pass"
) -> tuple[int, str]:
    """Run pytest in a process of its own, between two pieces of code; return status and output."""
    (folder / "test_suite.py").write_text(SUITE)
    script = f"import sys; {before}; import pytest; status = pytest.main(sys.argv[1:]); {after}"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; sys.exit(status)", "-p", "no:cacheprovider", "-rs",
         *arguments],
        cwd=folder, text=True, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_where_nothing_is_gated_nothing_is_loaded_or_read(tmp_path: Path) -> None:
    damaged = tmp_path / "gate_baselines" / "a-machine" / "0001_gate.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    after = f"print('loaded', [name for name in {HEAVY} if name in sys.modules])"
    status, output = run_pytest(tmp_path, "-k", "unit", after=after)
    assert status == 0
    assert "loaded []" in output


@pytest.mark.parametrize(
    ("before", "option", "says"),
    [
        ("sys.modules['resource'] = None", "-q", "it needs Linux or macOS"),
        ("pass", "-pno:benchmark", "-p no:benchmark"),
    ],
    ids=["windows", "no-benchmark"],
)
def test_where_the_gate_cannot_measure_all_else_runs(
    tmp_path: Path, before: str, option: str, says: str
) -> None:
    status, output = run_pytest(tmp_path, option, before=before)
    assert status == 0, output
    assert "1 passed, 1 skipped" in output
    assert says in output
    status, output = run_pytest(tmp_path, option, "--gate=judge", before=before)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "--gate judge cannot measure here" in output


def test_affinity_is_left_alone_where_no_cpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[list[int]] = []
    monkeypatch.setattr("os.sched_setaffinity", lambda _, cpus: held.append(cpus))
    monkeypatch.setattr("os.setpriority", lambda *_: None)
    environment.pin(os.getpid(), None)
    assert held == []
    environment.pin(os.getpid(), [0])
    assert held
    assert {tuple(cpus) for cpus in held} == {(0,)}


def test_without_pinning_every_cpu_is_anybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, which says nothing of where a process runs and lets nobody decide."""
    monkeypatch.setattr(environment, "CAN_PIN", False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.delattr("os.sched_setaffinity")
    assert environment.cpus_of_launch(1, 1) == [1]
    environment.pin(os.getpid(), [1])


@pytest.mark.parametrize(
    ("text", "value"), [("5%", 0.05), ("0.5%", 0.005), ("100%", 1.0), ("200%", 2.0)]
)
def test_a_margin_is_any_positive_percentage(text: str, value: float) -> None:
    assert percent(text) == pytest.approx(value)
    assert margin_of_marker(pytest.mark.gate(margin=text).mark) == pytest.approx(value)


@pytest.mark.parametrize(
    "marker",
    [
        pytest.mark.gate,
        pytest.mark.gate("5%"),
        pytest.mark.gate(margin=0.05),
        pytest.mark.gate(margn="5%"),
        pytest.mark.gate(margin="5"),
        pytest.mark.gate(margin="nan%"),
        pytest.mark.gate(margin="-3%"),
    ],
)
def test_a_marker_that_is_not_understood_is_shown_with_one_that_is(
    marker: pytest.MarkDecorator,
) -> None:
    with pytest.raises(ValueError, match=r"@pytest\.mark\.gate\(.*percentage"):
        margin_of_marker(marker.mark)
