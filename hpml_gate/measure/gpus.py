"""NVIDIA GPUs: which of them a process sees, what they are, and what held them back.

Asked of NVML, the driver's own library. What a device does not tell is None.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import psutil

Handle = Any  # NVML's own
VISIBLE = "CUDA_VISIBLE_DEVICES"
SHORTEST_HOLD_NS = 1_000_000  # held back for less than this says nothing
POWER, HEAT, SUPPLY = "its power limit", "heat", "its power supply"


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """What of a GPU (or of a part of one: MIG) moves a benchmark's time for good."""

    name: str  # with the profile of a part
    memory_mib: int | None
    power_limit_w: float | None
    driver: str


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """A GPU at one moment: its state, and how long it was held back since it started."""

    name: str
    uuid: str
    clock_mhz: int | None
    temperature_c: int | None
    reasons: Sequence[str]  # what holds its clock down now, locked clocks and idleness left out
    power_hold_ns: int | None
    thermal_hold_ns: int | None
    others: Sequence[str] = ()  # processes that compute on it and are not this one's

    def __str__(self) -> str:
        """Name it, with its clock and temperature."""
        return f"{self.name}, {self.clock_mhz} MHz, {self.temperature_c} C"


@cache
def driver() -> Any:
    """Return NVML, started; None where there is no driver, or it is not well."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def gpus(nvml: Any) -> list[Gpu]:
    """Describe the GPUs that this process's CUDA sees."""
    if nvml is None:
        return []
    ask = _asking(nvml)
    version = str(ask(nvml.nvmlSystemGetDriverVersion))
    found = []
    for device, board in visible(nvml, os.environ.get(VISIBLE)):
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, device)
        power_mw = ask(nvml.nvmlDeviceGetPowerManagementLimit, board)
        made = Gpu(
            name=str(ask(nvml.nvmlDeviceGetName, device)),
            memory_mib=memory.total // 2**20 if memory else None,
            power_limit_w=power_mw / 1000 if power_mw else None,
            driver=version,
        )
        found.append(made)
    return found


def states(nvml: Any) -> list[GpuState]:
    """Read the GPUs that this process's CUDA sees."""
    if nvml is None:
        return []
    return [_state(nvml, *one) for one in visible(nvml, os.environ.get(VISIBLE))]


def visible(nvml: Any, wanted: str | None) -> list[tuple[Handle, Handle]]:
    """Return each device that ``CUDA_VISIBLE_DEVICES`` names, with the board that it is on.

    A number is NVML's index, which is CUDA's where all boards are alike; a name is the start of a
    UUID. As in CUDA, nothing that follows an unknown one is visible.
    """
    count = nvml.nvmlDeviceGetCount()
    boards = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    devices = [(part, board) for board in boards for part in _parts(nvml, board)]
    if wanted is None:
        return devices
    found: list[tuple[Handle, Handle]] = []
    for word in wanted.split(","):
        named = [one for one in devices if _is_named(nvml, word.strip(), one, boards)]
        if not named:
            break
        found += named
    return found


def held_back(before: GpuState, after: GpuState) -> list[str]:
    """Return what held a GPU back in between: by its counters, else by what it says now."""
    holds = {
        POWER: _longer_ns(before.power_hold_ns, after.power_hold_ns),
        HEAT: _longer_ns(before.thermal_hold_ns, after.thermal_hold_ns),
    }
    found = [
        f"{after.name} was held back by {cause} for {held_ns / 1e6:.0f} ms"
        for cause, held_ns in holds.items()
        if held_ns >= SHORTEST_HOLD_NS
    ]
    found += [
        f"{after.name} is held back by {cause}"
        for cause in after.reasons
        if holds.get(cause, 0) < SHORTEST_HOLD_NS
    ]
    return found + [f"{one} computes on {after.name}, too" for one in after.others]


def _state(nvml: Any, device: Handle, board: Handle) -> GpuState:
    ask = _asking(nvml)
    power = ask(nvml.nvmlDeviceGetViolationStatus, board, nvml.NVML_PERF_POLICY_POWER)
    thermal = ask(nvml.nvmlDeviceGetViolationStatus, board, nvml.NVML_PERF_POLICY_THERMAL)
    return GpuState(
        name=str(ask(nvml.nvmlDeviceGetName, device)),
        uuid=str(ask(nvml.nvmlDeviceGetUUID, device)),
        clock_mhz=ask(nvml.nvmlDeviceGetClockInfo, board, nvml.NVML_CLOCK_SM),
        temperature_c=ask(nvml.nvmlDeviceGetTemperature, board, nvml.NVML_TEMPERATURE_GPU),
        reasons=_reasons(nvml, ask(nvml.nvmlDeviceGetCurrentClocksEventReasons, board) or 0),
        power_hold_ns=power.violationTime if power else None,
        thermal_hold_ns=thermal.violationTime if thermal else None,
        others=list(_others(ask(nvml.nvmlDeviceGetComputeRunningProcesses, device) or ())),
    )


def _reasons(nvml: Any, bits: int) -> list[str]:
    named = {
        POWER: nvml.nvmlClocksEventReasonSwPowerCap,
        HEAT: nvml.nvmlClocksEventReasonHwThermalSlowdown
        | nvml.nvmlClocksEventReasonSwThermalSlowdown,
        SUPPLY: nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    }
    return [name for name, bit in named.items() if bits & bit]


def _others(running: Sequence[Any]) -> Iterator[str]:
    """Yield the processes that this one did not start; in a container NVML knows other numbers."""
    for one in running:
        with suppress(psutil.Error):
            process = psutil.Process(one.pid)
            if os.getpid() not in (process.pid, *(parent.pid for parent in process.parents())):
                yield f"{process.name()} ({process.pid})"


def _parts(nvml: Any, board: Handle) -> list[Handle]:
    """Return the parts of a board that is divided (MIG), else the board."""
    ask = _asking(nvml)
    mode = ask(nvml.nvmlDeviceGetMigMode, board)
    if not mode or not mode[0]:
        return [board]
    numbers = range(ask(nvml.nvmlDeviceGetMaxMigDeviceCount, board) or 0)
    parts = (ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, board, number) for number in numbers)
    return [part for part in parts if part is not None]


def _is_named(
    nvml: Any, word: str, device: tuple[Handle, Handle], boards: Sequence[Handle]
) -> bool:
    if word.isdecimal():
        return int(word) < len(boards) and boards[int(word)] is device[1]
    uuids = [str(_asking(nvml)(nvml.nvmlDeviceGetUUID, one)) for one in device]
    return bool(word) and any(uuid.startswith(word) for uuid in uuids)


def _longer_ns(before: int | None, after: int | None) -> int:
    return 0 if before is None or after is None else after - before


def _asking(nvml: Any) -> Callable[..., Any]:
    """Return what calls a function of NVML, and answers None for what a device does not tell."""

    def ask(function: Callable[..., Any], *arguments: object) -> Any:
        with suppress(nvml.NVMLError):
            return function(*arguments)
        return None

    return ask
