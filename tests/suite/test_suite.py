"""The suite as a whole: its options, its collection, and that nothing registered is left out."""

import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest
from strategy_variants import strategy_variants

import families
from hpml_kernels.case import KernelCase
from hpml_kernels.registry import kernels
from hpml_models.cases import registry
from hpml_models.cases.hardware import resolve_device
from hpml_models.cases.inference import InferenceCase
from hpml_models.cases.setting import Setting
from hpml_models.cases.training import TrainingCase
from hpml_models.precision import PRECISIONS
from hpml_models.types import Device, PresetName
from hpml_steps.axes import Family, axes_of, cases

ROOT = Path(__file__).parents[2]


def collect(*arguments: str) -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "benchmarks", *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    ids = [line.partition("[")[2][:-1] for line in done.stdout.splitlines() if "::" in line]
    return done.returncode, ids, done.stdout + done.stderr


SETTING = Setting(device="cpu", preset="tiny", kernel_devices=("cpu",))
MODELS = {"model": registry.models()}


def ids_of(setting: Setting, given: Mapping[str, list[Any]] = MappingProxyType({})) -> set[str]:
    return {case.id for kind in families.FAMILIES.values() for case in cases(kind, setting, given)}


def test_everything_that_makes_sense_is_collected() -> None:
    status, ids, output = collect("--device=cpu")
    assert status == 0, output
    assert set(ids) == ids_of(SETTING)
    assert len(ids) == len(set(ids))
    assert not any("single-x2" in one for one in ids)


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("model", "resnet18"),
        ("model", "translation"),
        ("device_count", 2),
        ("device_count", 3),
        ("strategy", "ddp"),
        ("strategy", "pipeline"),
        ("variant", "1f1b"),
        ("variant", "numba"),
        ("stages", 2),
        ("precision", "bf16"),
        ("runtime", "torchscript"),
        ("quantization", "static_int8"),
        ("kernel", "add"),
        ("data", "cifar10"),
    ],
)
def test_an_axis_option_selects_the_cases_that_have_it_and_nothing_else(
    axis: str, value: object
) -> None:
    _, ids, output = collect("--device=cpu", f"--{axis.replace('_', '-')}={value}")
    given = {axis: [value]}
    assert set(ids) == ids_of(SETTING, given), output
    assert ids
    every = [case for kind in families.FAMILIES.values() for case in cases(kind, SETTING)]
    if axis != "data":  # of models it follows from --data-root
        assert {one.id for one in every if one.axes.get(axis) == value} <= set(ids)


def test_a_models_options_are_swept_and_are_a_part_of_the_id() -> None:
    given = ("--model=translation,resnet18", "--strategy=single", "--precision=fp32")
    _, ids, output = collect("--device=cpu", *given, "--model-option=heads=2,4")
    assert len(ids) == 2, output
    assert all(one.startswith(("train-translation-heads2-", "train-translation-heads4-"))
               for one in ids)  # fmt: skip


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("heads", "'heads' is not NAME=VALUES, like d_model=64,128"),
        ("heads=many", "--model-option heads=many: not int as the preset's"),
    ],
)
def test_a_bad_model_option_is_named(option: str, says: str) -> None:
    status, _, output = collect("--model=translation", f"--model-option={option}")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert says in output


def test_a_file_is_taken_out_of_its_folder() -> None:
    _, ids, _ = collect("--device=cpu", "benchmarks/test_kernels.py")
    assert ids
    assert not any(one.startswith(("train-", "inference-")) for one in ids)


def test_batches_and_micro_batches_are_any_number() -> None:
    given = ("--strategy=ddp,pipeline", "--batch=24,48", "--micro-batches=6")
    _, ids, output = collect("--device=cpu", *given)
    assert "train-resnet18-synthetic-tiny-b24-ddp-m6-x2-cpu-fp32" in ids, output
    assert "train-resnet18-synthetic-tiny-b48-pipeline-1f1b-m6-x2-cpu-bf16" in ids
    assert all("-m6-" in one for one in ids)


def test_the_quick_suite_is_a_part_of_the_default() -> None:
    _, quick, _ = collect("--device=cpu", "--quick")
    _, default, _ = collect("--device=cpu")
    assert set(quick) < set(default)
    assert {one for one in quick if "-ddp-" in one} == {one for one in default if "-ddp-" in one}
    assert not any("-fsdp-" in one for one in quick)
    _, asked, _ = collect("--device=cpu", "--quick", "--strategy=fsdp")
    assert any("-fsdp-" in one for one in asked)


@pytest.mark.parametrize("preset", ["tiny", "small", "paper"])
def test_a_preset_changes_every_case_that_has_one(preset: PresetName) -> None:
    _, ids, _ = collect("--device=cpu", f"--preset={preset}")
    setting = Setting(device="cpu", preset=preset, kernel_devices=("cpu",))
    assert set(ids) == ids_of(setting)


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("model", registry.models()),
        ("strategy", registry.strategies()),
        ("precision", PRECISIONS),
        ("runtime", registry.runtimes()),
        ("quantization", registry.quantizations()),
    ],
)
def test_an_unknown_name_is_refused_with_those_there_are(
    option: str, known: Collection[object]
) -> None:
    status, _, output = collect(f"--{option}=magic")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert f"no 'magic': there are {', '.join(map(str, known))}" in output


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--device=tpu", "invalid choice: 'tpu'"),
        ("--preset=huge", "invalid choice: 'huge'"),
        ("--data-root=/nowhere", "'/nowhere' is no folder"),
    ],
)
def test_a_bad_value_is_named(option: str, says: str) -> None:
    status, _, output = collect(option)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert says in output


def left_out(config: pytest.Config, case: Family) -> bool:
    hook = config.hook.pytest_gate_left_out
    return bool(hook(config=config, case_id=case.id, axes=case.axes))


def test_the_gate_is_told_what_the_options_leave_out_and_only_that(
    pytestconfig: pytest.Config,
) -> None:
    """Else a case that vanished would not be missed, or one that was not asked for would be."""
    own = Setting(
        device=resolve_device(pytestconfig.getoption("device")),
        preset="tiny",
        data_root=pytestconfig.getoption("data_root"),
    )
    other = Setting(device="cuda" if own.device == "cpu" else "cpu", preset="tiny")
    assert not any(left_out(pytestconfig, case) for case in cases(InferenceCase, own))
    assert all(left_out(pytestconfig, case) for case in cases(InferenceCase, other))
    assert left_out(pytestconfig, KernelCase(kernel="add", variant="numpy", preset="small"))
    assert not left_out(pytestconfig, KernelCase(kernel="add", variant="numpy", preset="tiny"))


@pytest.mark.parametrize("axes", [{}, {"family": "kernel", "kernel": "add", "variant": "fortran"}])
def test_what_no_options_select_is_missed(
    pytestconfig: pytest.Config, axes: dict[str, str]
) -> None:
    hook = pytestconfig.hook.pytest_gate_left_out
    assert not hook(config=pytestconfig, case_id="gone", axes=axes)


def test_collection_imports_nothing_heavy() -> None:
    script = (
        "import pytest, sys; pytest.main(['benchmarks', '--collect-only', '-q', '--device=cpu']);"
        "print('heavy:', *{'torch', 'torchvision', 'transformers', 'deepspeed'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("hpml_models/models", registry.models()),
        ("hpml_models/data", registry.data_sets()),
        ("hpml_models/strategies", registry.strategies()),
        ("hpml_models/runtimes", registry.runtimes()),
        ("hpml_models/quantization", registry.quantizations()),
        ("hpml_kernels/kernels", kernels()),
    ],
)
def test_a_file_is_a_variant_of_its_name(folder: str, names: dict[str, object]) -> None:
    files = {file.stem for file in (ROOT / folder).glob("*.py")} - {"__init__"}
    assert files == set(names)


def test_every_strategy_is_held_to_one_device() -> None:
    """But the reference itself, and what a CPU cannot run (it would be the reference)."""
    tested = {one.strategy.name for one in strategy_variants()}
    assert set(registry.strategies()) - tested == {"single", "data_parallel"}


def test_every_id_says_all_that_can_change_the_time() -> None:
    settings = [
        Setting(device=device, preset=preset, data_root=data_root)
        for device in get_args(Device)
        for preset in get_args(PresetName)
        for data_root in (None, "somewhere")
    ]
    ids = [
        case.id
        for setting in settings
        for kind in (TrainingCase, InferenceCase)
        for case in cases(kind, setting, MODELS)
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", families.FAMILIES.values(), ids=families.FAMILIES)
def test_a_record_has_the_axes_of_every_case(kind: type[Family]) -> None:
    names = {one.name for one in axes_of(kind) if one.name != "model_options"}
    for case in cases(kind, SETTING):
        assert names | {"family", "device"} <= case.axes.keys()
        assert all(isinstance(value, str | int | float) for value in case.axes.values())


def test_every_axis_has_a_fixture_that_tests_may_use(pytestconfig: pytest.Config) -> None:
    wiring = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))
    named = {"model", "device_count", "precision", "runtime", "quantization"}
    assert named <= families.axes_by_name().keys() <= vars(wiring).keys()


def test_cases_of_a_launchers_ranks_say_on_how_many_machines_these_are() -> None:
    placed = Setting(device="cpu", preset="tiny", ranks=6, nodes=3)
    made = [case for case in cases(TrainingCase, placed) if case.device_count == placed.ranks]
    assert {case.strategy for case in made} > {"ddp", "fsdp", "pipeline"}
    assert all((case.nodes, case.devices_per_node, case.cpus) == (3, 2, None) for case in made)
    assert all("-x6-n3-" in case.id for case in made)
    assert not any("placed 6 ranks" in str(case.why_not(placed)) for case in made)
    fewer = cases(TrainingCase, placed, {"device_count": [2]})
    assert fewer
    assert all("placed 6 ranks" in str(case.why_not(placed)) for case in fewer)
