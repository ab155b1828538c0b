"""Wiring only: the suite's options, and the fixtures that turn families of cases into tests."""

import argparse
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import families
import machines
from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_gate.output.terminal import write_table
from hpml_gate.record import Description, Run
from hpml_kernels.cuda import NO_LIBRARY
from hpml_kernels.roofline import compare, table
from hpml_kernels.roofline.rows import Row as KernelRow
from hpml_models.cases.hardware import is_oversubscribed, resolve_device
from hpml_models.cases.setting import Setting
from hpml_models.cases.theory import theory_of
from hpml_models.cases.training import TrainingCase
from hpml_models.types import PresetName
from hpml_report import scaling, scaling_figures
from hpml_steps.axes import Family

RECORD = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare one option per axis of the families, and what the whole run has in common."""
    pluginmanager.register(machines)
    group = parser.getgroup("hpml", "machine-learning benchmarks")
    families.add_options(group)
    group.addoption("--device", choices=["auto", "cpu", "cuda"], default="auto")
    group.addoption("--preset", choices=get_args(PresetName), default="tiny")
    group.addoption(
        "--data-root",
        metavar="DIR",
        type=_folder,
        help="use the real data sets found below DIR instead of synthetic batches",
    )


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return str(Path(text).resolve())


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.args[:] = _narrowed(config.args)
    config.addinivalue_line(
        "markers", f"family(name): which cases a test has: {', '.join(families.FAMILIES)}"
    )


def _narrowed(arguments: list[str]) -> list[str]:
    """Leave a folder out where a part of it is named too: `tox -e bench -- FILE` means the file."""
    paths = {one: Path(one.partition("::")[0]).resolve() for one in arguments}
    return [
        one for one in arguments if not any(paths[one] in other.parents for other in paths.values())
    ]


def setting_of(config: pytest.Config) -> Setting:
    """Return what all cases of a run have in common."""
    leader = config.stash.get(machines.LEADER, None)
    device = config.getoption("device")
    return Setting(
        device=resolve_device(device),
        preset=config.getoption("preset"),
        data_root=config.getoption("data_root"),
        ranks=len(leader.rank_hosts) if leader else 0,
        nodes=len(leader.hosts) if leader else 0,
        model_options=dict(config.getoption("model_option")),
        kernel_devices=("cpu", "cuda") if device == "auto" else (device,),
    )


def pytest_collection(session: pytest.Session) -> None:
    """List the cases that the options ask for, before anything is collected."""
    families.list_cases(session.config, setting_of(session.config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn the cases of a test's family into its parameters; ids are the cases' own."""
    if marker := metafunc.definition.get_closest_marker("family"):
        cases = metafunc.config.stash[families.CASES][marker.args[0]]
        metafunc.parametrize("case", cases, ids=[case.id for case in cases], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the options do not ask for, as pytest's own selection does."""
    is_selected = {item: families.is_asked_for(config, item) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not is_selected[item]])
    items[:] = [item for item in items if is_selected[item]]


def pytest_gate_left_out(config: pytest.Config, axes: Mapping[str, Any]) -> bool:
    """Tell the gate which of the cases that there are this run's options leave out."""
    return families.is_left_out(config, axes)


def pytest_gate_describe(item: pytest.Item) -> Description | None:
    """Return the fields of an item's case for the gate's record."""
    params: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    case: Any = params.get("case")
    if not hasattr(case, "axes"):
        return None
    theory = theory_of(case) if isinstance(case, TrainingCase) else {}
    return Description(case_id=case.id, axes=case.axes, theory=theory)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Family:
    """Return this item's case, or skip with the reason why it cannot run here."""
    made: Family = request.param
    reason = made.why_not(setting_of(request.config))
    if reason and reason.startswith(NO_LIBRARY) and request.config.getoption("device") == "cuda":
        pytest.fail(reason, pytrace=False)  # not the machine lacks it, but the installation
    if reason:
        pytest.skip(reason)
    if isinstance(made, TrainingCase) and is_oversubscribed(made):
        warnings.warn(f"{made.id}: more ranks than cores, they take turns", stacklevel=1)
    return made


# One fixture for each axis of a family: model, device_count, precision, runtime, quantization, ...
globals().update(
    {name: families.axis_fixture(name, axes) for name, axes in families.axes_by_name().items()}
)


@pytest.fixture(scope="session")
def comparison_processes() -> Iterator[compare.Comparison]:
    """Yield the processes in which kernels are compared, which all comparisons share."""
    with compare.Comparison() as processes:
        yield processes


@pytest.fixture
def comparison(
    benchmark: BenchmarkFixture, comparison_processes: compare.Comparison
) -> compare.Comparison:
    """Return what compares kernels with their limits and peers, where something may be timed."""
    if not adapter.claim(benchmark):
        pytest.skip("untimed: pytest-benchmark is disabled, so there is nothing to compare")
    return comparison_processes


def pytest_gate_results(config: pytest.Config, run: Run, folder: Path) -> None:
    """Draw the tables of strategies and kernels from the run's record."""
    config.stash[RECORD] = run
    scaling_figures.draw(scaling.rows_of(run.cases), folder / "scaling")
    if rows := _kernel_rows(run):
        table.write(rows, folder / "kernels")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show how the strategies scale and how far the kernels get, where they were measured."""
    if RECORD not in config.stash:
        return
    run = config.stash[RECORD]
    if rows := _kernel_rows(run):
        terminalreporter.section("kernels, beside their limits and peers")
        for line in (*table.terminal_lines(rows), *compare.missing_groups()):
            terminalreporter.write_line(line)
    if tables := [*scaling.tables(scaling.rows_of(run.cases))]:
        terminalreporter.section("strategies")
        for one in tables:
            write_table(terminalreporter, one)


def _kernel_rows(run: Run) -> list[KernelRow]:
    return [KernelRow(**row) for case in run.cases for row in case.tables.get("kernels", [])]


@pytest.fixture
def data_root(request: pytest.FixtureRequest) -> str:
    """Folder of the real data sets; a test that needs it is skipped where none is given."""
    root = request.config.getoption("data_root")
    if root is None:
        pytest.skip("no_data: give the folder of the real data sets with --data-root")
    return str(root)
