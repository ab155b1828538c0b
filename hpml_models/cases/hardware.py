"""What this machine has, found without importing torch where it can be."""

import ctypes
import os
from functools import cache
from typing import get_args

from hpml_models.types import Case, Device


@cache
def cuda_device_count() -> int:
    """Count the CUDA devices that the driver shows this process; 0 where there is no driver.

    The driver is asked because torch is slow to import, and this is needed to collect tests.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value


def resolve_device(name: str) -> Device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into the device kind to use."""
    if name == "auto":
        return "cuda" if cuda_device_count() else "cpu"
    return next(device for device in get_args(Device) if device == name)


def is_oversubscribed(case: Case) -> bool:
    """Whether a case has more ranks than there are cores for them: they will take turns."""
    return case.device == "cpu" and case.devices_per_node > len(os.sched_getaffinity(0))


def why_no_hardware(case: Case) -> str | None:
    """Return what the machine lacks for the case; CPU ranks may outnumber cores."""
    if case.device == "cuda" and cuda_device_count() < case.devices_per_node:
        return f"{case.devices_per_node} CUDA devices needed, {cuda_device_count()} found"
    return None
