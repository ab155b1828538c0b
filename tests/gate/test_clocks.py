"""The gate's times and timeouts go on where a test freezes or steps the clocks."""

import pkgutil
import time
from importlib import import_module

import pytest

import hpml_gate
from hpml_gate.clocks import REAL
from hpml_gate.measure.launch import Deadline

FROZEN = {time.monotonic, time.monotonic_ns, time.perf_counter, time.perf_counter_ns, time.time}


def test_no_module_of_the_gate_holds_a_clock_that_can_be_replaced() -> None:
    """Tools that freeze time replace each module attribute that is one of the clocks."""
    names = [one.name for one in pkgutil.walk_packages(hpml_gate.__path__, "hpml_gate.")]
    held = {
        f"{name}.{attribute}"
        for name in names
        for attribute, value in vars(import_module(name)).items()
        if any(value is clock for clock in FROZEN)
    }
    assert held == set()


def test_a_launch_times_out_under_a_frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    deadline = Deadline(timeout_s=0.001)
    REAL.sleep(0.002)
    assert deadline.is_over
