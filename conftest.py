"""Wiring only: the suite's options, and the fixtures that turn the matrix into tests."""

import argparse
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import machines
from hpml_gate import pytest_benchmark_adapter as adapter
from hpml_kernels import step as kernel_step
from hpml_kernels.registry import QUICK, kernels
from hpml_kernels.roofline import compare, table
from hpml_kernels.roofline.rows import GROUPS
from hpml_kernels.roofline.rows import Row as KernelRow
from hpml_models.cases import matrix, registry
from hpml_models.cases.hardware import is_oversubscribed, resolve_device
from hpml_models.precision import PRECISIONS
from hpml_models.prepare import loading
from hpml_models.scaling import pictures as scaling_pictures
from hpml_models.scaling import table as scaling_table
from hpml_models.scaling.table import Row
from hpml_models.types import Case, Mode, PresetName

AXES = (
    "model",
    "batch",
    "device_count",
    "strategy",
    "variant",
    "stages",
    "micro_batches",
    "precision",
    "runtime",
    "quantization",
)
ROWS = pytest.StashKey[list[Row]]()
KERNEL_ROWS = pytest.StashKey[list[KernelRow]]()
LOADED = [(data, 16) for data in registry.data_sets()]  # data set and batch


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare one option per axis of the matrix, and what the whole run has in common."""
    pluginmanager.register(machines)
    group = parser.getgroup("hpml", "machine-learning benchmarks")
    launched = machines.launched_here()
    counts = sorted({*matrix.DEVICE_COUNTS, *([launched.world_size] if launched else [])})
    known: dict[str, Collection[Any]] = {
        "model": registry.models(),
        "batch": range(1, 2**20 + 1),
        "device_count": counts,
        "strategy": registry.strategies(),
        "variant": matrix.variants(),
        "stages": range(1, max(counts) + 1),
        "micro_batches": range(1, 1025),
        "precision": PRECISIONS,
        "runtime": registry.runtimes(),
        "quantization": registry.quantizations(),
    }
    for axis, names in known.items():
        group.addoption(
            f"--{axis.replace('_', '-')}",
            metavar="NAMES",
            type=_names(names),
            help=f"only these, separated by commas: {_listed(names)}",
        )
    group.addoption(
        "--quick",
        action="store_true",
        help="what a laptop times in minutes, where no other option says more: "
        + ", ".join(f"{axis} {_listed(names)}" for axis, names in matrix.QUICK.items()),
    )
    group.addoption("--device", choices=["auto", "cpu", "cuda"], default="auto")
    group.addoption("--preset", choices=get_args(PresetName), default="tiny")
    group.addoption(
        "--data-root",
        metavar="DIR",
        type=_folder,
        help="use the real data sets found below DIR instead of synthetic batches",
    )


def _listed(names: Collection[Any]) -> str:
    if isinstance(names, range):
        return f"{names.start} to {names.stop - 1}"
    return ", ".join(map(str, names))


def _names(known: Collection[Any]) -> Callable[[str], list[Any]]:
    by_text = {str(name): name for name in known}

    def parse(text: str) -> list[Any]:
        unknown = [name for name in text.split(",") if name not in by_text]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}: there are {_listed(known)}")
        return [by_text[name] for name in text.split(",")]

    return parse


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return str(Path(text).resolve())


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.stash[ROWS] = []
    config.stash[KERNEL_ROWS] = []
    config.args[:] = _narrowed(config.args)
    config.addinivalue_line("markers", "mode(name): what the cases of a test do: train, inference")


def _narrowed(arguments: list[str]) -> list[str]:
    """Leave a folder out where a part of it is named too: `tox -e bench -- FILE` means the file."""
    paths = {one: Path(one.partition("::")[0]).resolve() for one in arguments}
    return [
        one for one in arguments if not any(paths[one] in other.parents for other in paths.values())
    ]


def _setting(config: pytest.Config) -> matrix.Setting:
    leader = config.stash.get(machines.LEADER, None)
    return matrix.Setting(
        device=resolve_device(config.getoption("device")),
        preset=config.getoption("preset"),
        data_root=config.getoption("data_root"),
        ranks=len(leader.rank_hosts) if leader else 0,
        nodes=len(leader.hosts) if leader else 0,
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn the matrix into parameters; a case's id is its parameter's."""
    if mode := metafunc.definition.get_closest_marker("mode"):
        cases = _cases(metafunc.config, mode.args[0])
        metafunc.parametrize(
            AXES,
            [[getattr(case, axis) for axis in AXES] for case in cases],
            ids=[case.id for case in cases],
            indirect=True,
        )
    if {"kernel", "group"} <= set(metafunc.fixturenames):
        preset = metafunc.config.getoption("preset")
        compared = {
            compare.comparison_id(name, group, preset): (name, group)
            for name in _kernel_names(metafunc.config)
            for group in GROUPS
        }
        metafunc.parametrize(["kernel", "group"], compared.values(), ids=compared)
    if {"kernel", "variant"} <= set(metafunc.fixturenames):
        pairs = _kernel_pairs(metafunc.config)
        metafunc.parametrize(["kernel", "variant"], pairs.values(), ids=pairs)
    if "loaded" in metafunc.fixturenames:
        metafunc.parametrize("loaded", LOADED, ids=[loading.loading_id(*one) for one in LOADED])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the options do not ask for, as pytest's own selection does."""
    is_selected = {item: _is_wanted(config, item) for item in items}
    config.hook.pytest_deselected(items=[item for item in items if not is_selected[item]])
    items[:] = [item for item in items if is_selected[item]]


def _is_wanted(config: pytest.Config, item: pytest.Item) -> bool:
    """Say whether an item of the suite has what each given option asks for."""
    if not {"bench", "comparison"} & set(getattr(item, "fixturenames", ())):
        return True
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "kernel" in params and config.getoption("device") not in ("auto", _kernel_device(params)):
        return False
    asked = {axis: names for axis in AXES if (names := config.getoption(axis)) is not None}
    return all(params.get(axis) in names for axis, names in asked.items())


def _kernel_device(params: Mapping[str, str]) -> str:
    if "group" in params:
        return "cuda" if params["group"] == "cuda" else "cpu"
    return kernels()[params["kernel"]].variants[params["variant"]].device


def pytest_gate_left_out(config: pytest.Config, case_id: str) -> bool:
    """Tell the gate which of the cases that there are this run's options leave out."""
    others = kernel_step.every_id() | {loading.loading_id(*one) for one in LOADED}
    exists = matrix.is_case(case_id) or case_id in others
    return exists and case_id not in _selected_ids(config)


def _selected_ids(config: pytest.Config) -> set[str]:
    """Return the ids that are collected; what axes deselect of them, pytest tells the gate."""
    cases = [case for mode in get_args(Mode) for case in _cases(config, mode)]
    with_data = config.getoption("data_root") is not None
    loaded = {loading.loading_id(*one) for one in LOADED} if with_data else set()
    return {case.id for case in cases} | set(_kernel_pairs(config)) | loaded


def _cases(config: pytest.Config, mode: Mode) -> list[Case]:
    setting = _setting(config)
    usual = {**matrix.DEFAULTS, **(matrix.QUICK if config.getoption("quick") else {})}
    if setting.ranks:
        usual["device_count"] = (1, setting.ranks)
    axes = {axis: names for axis, names in usual.items() if config.getoption(axis) is None}
    return list(
        matrix.cases(
            mode,
            setting,
            axes,
            batches=config.getoption("batch"),
            micro_batches=config.getoption("micro_batches"),
        )
    )


def _kernel_names(config: pytest.Config) -> tuple[str, ...]:
    return QUICK if config.getoption("quick") else tuple(kernels())


def _kernel_pairs(config: pytest.Config) -> dict[str, tuple[str, str]]:
    """Return the names of kernels and variants by their ids at this run's preset."""
    pairs = [
        (name, variant) for name in _kernel_names(config) for variant in kernels()[name].variants
    ]
    return {kernel_step.kernel_id(*pair, config.getoption("preset")): pair for pair in pairs}


def _axis(name: str) -> Any:
    """Make the fixture of an axis: the name, or the number, that this item runs with."""

    def value(request: pytest.FixtureRequest) -> Any:
        return request.param

    value.__doc__ = f"The {name.replace('_', ' ')} of this item's case."
    return pytest.fixture(name=name)(value)


(
    model,
    batch,
    device_count,
    strategy,
    variant,
    stages,
    micro_batches,
    precision,
    runtime,
    quantization,
) = map(_axis, AXES)


@pytest.fixture
def case(  # noqa: PLR0913  one argument per axis
    request: pytest.FixtureRequest,
    model: str,
    batch: int,
    device_count: int,
    strategy: str,
    variant: str,
    stages: int,
    micro_batches: int,
    precision: str,
    runtime: str,
    quantization: str,
) -> Case:
    """Return the cell of the matrix, or skip with the reason why it cannot run here."""
    setting = _setting(request.config)
    made = matrix.make_case(
        request.node.get_closest_marker("mode").args[0],
        setting,
        model=model,
        batch=batch,
        device_count=device_count,
        strategy=strategy,
        variant=variant,
        stages=stages,
        micro_batches=micro_batches,
        precision=precision,
        runtime=runtime,
        quantization=quantization,
    )
    if reason := matrix.why_not_placed(made, setting) or matrix.why_not(made):
        pytest.skip(reason)
    if is_oversubscribed(made):
        warnings.warn(f"{made.id}: more ranks than cores, they take turns", stacklevel=1)
    return made


@pytest.fixture
def report_scaling(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Give what adds a row to the table of strategies at the end of the run."""
    return request.config.stash[ROWS].append


@pytest.fixture
def report_kernels(request: pytest.FixtureRequest) -> Callable[[Iterable[KernelRow]], None]:
    """Return what adds rows to the table of kernels at the end of the run."""
    return request.config.stash[KERNEL_ROWS].extend


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


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show how the strategies scale and how far the kernels get, where they were measured."""
    _show_kernels(terminalreporter, config)
    rows = config.stash[ROWS]
    if len(rows) > 1:
        terminalreporter.section("strategies")
        for line in scaling_table.lines(rows):
            terminalreporter.write_line(line)


def pytest_gate_results(config: pytest.Config, folder: Path) -> None:
    """Draw the tables of strategies and kernels."""
    rows = config.stash[ROWS]
    scaling_pictures.draw(rows, folder / "scaling")
    if kernel_rows := config.stash[KERNEL_ROWS]:
        table.write(kernel_rows, folder / "kernels")


def _show_kernels(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show how far the run's kernels get beside their limits and peers."""
    rows = config.stash[KERNEL_ROWS]
    if not rows:
        return
    terminalreporter.section("kernels, beside their limits and peers")
    for line in (*table.terminal_lines(rows), *compare.missing_groups()):
        terminalreporter.write_line(line)


@pytest.fixture
def data_root(request: pytest.FixtureRequest) -> str:
    """Folder of the real data sets; a test that needs it is skipped where none is given."""
    root = request.config.getoption("data_root")
    if root is None:
        pytest.skip("no_data: give the folder of the real data sets with --data-root")
    return str(root)
