"""GPUs by a driver's library that is made up: a board that is whole, and one that is divided."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from hpml_gate.measure.disturbance import Counters, between, name
from hpml_gate.measure.gpus import GpuState, gpus, held_back, states, visible
from hpml_gate.protocol import BlockTime


class NotToldError(Exception):
    """What NVML raises where a device does not know."""


@dataclass(frozen=True)
class Board:
    uuid: str
    parts: tuple[str, ...] = ()


WHOLE, DIVIDED = Board("GPU-aaaa"), Board("GPU-bbbb", ("MIG-cccc", "MIG-dddd"))


def refuse(*_: object) -> Any:
    raise NotToldError


def number(board: Board, index: int) -> str:
    return board.parts[index] if index < len(board.parts) else refuse()


def fake(boards: tuple[Board, ...] = (WHOLE, DIVIDED), **functions: Callable[..., Any]) -> Any:
    """A driver that tells nothing beyond which devices there are."""
    import pynvml

    constants = {
        one: getattr(pynvml, one) for one in dir(pynvml) if "Reason" in one or one.isupper()
    }
    silent = {one: refuse for one in dir(pynvml) if one.startswith("nvmlDeviceGet")}
    known = {
        "NVMLError": NotToldError,
        "nvmlSystemGetDriverVersion": lambda: "600.1",
        "nvmlDeviceGetCount": lambda: len(boards),
        "nvmlDeviceGetHandleByIndex": boards.__getitem__,
        "nvmlDeviceGetUUID": lambda device: getattr(device, "uuid", device),
        "nvmlDeviceGetMigMode": lambda board: (bool(board.parts), bool(board.parts)),
        "nvmlDeviceGetMaxMigDeviceCount": lambda _: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": number,
        "nvmlDeviceGetName": lambda device: f"name of {getattr(device, 'uuid', device)}",
    }
    return SimpleNamespace(**{**constants, **silent, **known, **functions})


@pytest.mark.parametrize(
    ("wanted", "devices"),
    [
        (None, [WHOLE, "MIG-cccc", "MIG-dddd"]),
        ("", []),
        ("0", [WHOLE]),
        ("1,0", ["MIG-cccc", "MIG-dddd", WHOLE]),
        ("0,7,1", [WHOLE]),
        ("-1", []),
        ("GPU-a", [WHOLE]),
        ("MIG-dddd", ["MIG-dddd"]),
    ],
)
def test_only_visible_devices_count(wanted: str | None, devices: list[object]) -> None:
    assert [device for device, _ in visible(fake(), wanted)] == devices


def test_which_devices_are_seen_is_in_the_facts_and_not_how_that_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = fake(
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=2**30),
        nvmlDeviceGetPowerManagementLimit=lambda _: 350_000,
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    by_number = gpus(told)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa")
    assert gpus(told) == by_number
    (gpu,) = by_number
    assert (gpu.memory_mib, gpu.power_limit_w, gpu.driver) == (1024, 350.0, "600.1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-dddd")
    assert gpus(told)[0].name == "name of MIG-dddd"


def test_a_device_that_tells_nothing_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    (state,) = states(fake())
    assert state.name == "name of GPU-aaaa"
    assert state.clock_mhz is None
    assert held_back(state, state) == []


STATE = GpuState(
    name="H", uuid="GPU-a", clock_mhz=1, temperature_c=1, reasons=[], power_hold_ns=0,
    thermal_hold_ns=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"power_hold_ns": 12_000_000}, "H was held back by its power limit for 12 ms"),
        ({"thermal_hold_ns": 3_000_000}, "H was held back by heat for 3 ms"),
        ({"power_hold_ns": 1000}, ""),
        ({"reasons": ["heat"]}, "H is held back by heat"),
        ({"others": ["python (7)"]}, "python (7) computes on H, too"),
    ],
)
def test_what_held_a_gpu_back_is_named_by_its_counters(changes: dict[str, Any], says: str) -> None:
    before = Counters(busy_s=0, idle_s=0, steal_s=0, gpus=[STATE])
    after = Counters(busy_s=1, idle_s=9, steal_s=0, gpus=[replace(STATE, **changes)])
    block = BlockTime(ns=1, wall_ns=10**9, cpu_ns=10**9)
    assert name([between(before, after, [(block,)])]) == says


def test_locked_and_idle_clocks_hold_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    idle_and_locked, hot = 0x1 | 0x2, 0x40
    (state,) = states(fake(nvmlDeviceGetCurrentClocksEventReasons=lambda _: idle_and_locked))
    assert not state.reasons
    (state,) = states(fake(nvmlDeviceGetCurrentClocksEventReasons=lambda _: hot))
    assert state.reasons == ["heat"]
