"""The suite as a whole: its options, its collection, and that nothing registered is left out."""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import get_args

import pytest
from strategy_variants import strategy_variants

from hpml_kernels.registry import kernels
from hpml_kernels.step import kernel_id
from hpml_models.cases import matrix, registry
from hpml_models.cases.hardware import resolve_device
from hpml_models.cases.matrix import Setting
from hpml_models.precision import PRECISIONS
from hpml_models.types import Case, Mode, PresetName

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


def test_everything_that_makes_sense_is_collected() -> None:
    status, ids, output = collect("--device=cpu")
    assert status == 0, output
    setting = Setting(device="cpu", preset="tiny")
    expected = {case.id for case in matrix.cases("train", setting, matrix.DEFAULTS)}
    expected |= {case.id for case in matrix.cases("inference", setting, matrix.DEFAULTS)}
    assert expected <= set(ids)
    assert len(ids) == len(set(ids))
    assert not any("single-x2" in one for one in ids)


SETTING = Setting(device="cpu", preset="tiny")
CASES = [*matrix.cases("train", SETTING), *matrix.cases("inference", SETTING)]


def is_default(case: Case, *given: str) -> bool:
    return all(
        getattr(case, axis) in names for axis, names in matrix.DEFAULTS.items() if axis not in given
    )


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("model", "resnet18"),
        ("model", "translation"),
        ("device_count", 2),
        ("device_count", 4),
        ("strategy", "ddp"),
        ("strategy", "pipeline"),
        ("variant", "1f1b"),
        ("stages", 2),
        ("precision", "bf16"),
        ("runtime", "torchscript"),
        ("quantization", "static_int8"),
    ],
)
def test_an_axis_option_selects_the_cases_that_have_it_and_nothing_else(
    axis: str, value: object
) -> None:
    _, ids, output = collect("--device=cpu", f"--{axis.replace('_', '-')}={value}")
    expected = {
        case.id for case in CASES if getattr(case, axis) == value and is_default(case, axis)
    }
    assert set(ids) == expected, output


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
    setting = Setting(device="cpu", preset=preset)
    expected = {
        case.id
        for mode in get_args(Mode)
        for case in matrix.cases(mode, setting)
        if is_default(case)
    }
    expected |= {
        kernel_id(kernel.name, name, preset)
        for kernel in kernels().values()
        for name, variant in kernel.variants.items()
        if variant.device == "cpu"
    }
    assert {one for one in ids if not one.startswith(("load-", "limits-"))} == expected


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("model", registry.models()),
        ("strategy", registry.strategies()),
        ("device-count", matrix.DEVICE_COUNTS),
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


def left_out(config: pytest.Config, case_id: str) -> bool:
    return bool(config.hook.pytest_gate_left_out(config=config, case_id=case_id))


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
    for case in matrix.cases("inference", own, matrix.DEFAULTS):
        assert not left_out(pytestconfig, case.id)
    for case in matrix.cases("inference", other, matrix.DEFAULTS):
        assert left_out(pytestconfig, case.id)
    assert left_out(pytestconfig, "add-numpy-n16777216")
    assert not left_out(pytestconfig, "add-numpy-n100000")
    assert not left_out(pytestconfig, "add-fortran-n100000")
    assert left_out(pytestconfig, "load-cifar10-b16") == (own.data_root is None)


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
    ids = [
        case.id
        for mode in ("train", "inference")
        for device in ("cpu", "cuda")
        for preset in ("tiny", "small", "paper")
        for data_root in (None, "somewhere")
        for case in matrix.cases(mode, Setting(device=device, preset=preset, data_root=data_root))
    ]
    assert len(ids) == len(set(ids))
    assert all(matrix.is_case(one) for one in ids)
    assert matrix.is_case("train-resnet18-synthetic-tiny-b17-ddp-m7-x2-cpu-fp32")
    assert not matrix.is_case("train-resnet18-synthetic-tiny-b16-ddp-x3-cpu-fp32")


def test_cases_of_a_launchers_ranks_say_on_how_many_machines_these_are() -> None:
    placed = Setting(device="cpu", preset="tiny", ranks=6, nodes=3)
    made = [case for case in matrix.cases("train", placed) if case.device_count == placed.ranks]
    assert {case.strategy for case in made} > {"ddp", "fsdp", "pipeline"}
    assert all((case.nodes, case.devices_per_node, case.cpus) == (3, 2, None) for case in made)
    assert all("-x6-n3-" in case.id and matrix.is_case(case.id) for case in made)
    assert all(matrix.why_not_placed(case, placed) is None for case in made)
    fewer = [case for case in matrix.cases("train", placed) if case.device_count == 2]
    assert all("placed 6 ranks" in str(matrix.why_not_placed(case, placed)) for case in fewer)
