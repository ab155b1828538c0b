"""A suite whose times are scripted, and running pytest over it in a process of its own."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

SUITE = '''
import os, signal, time
import pytest
import speed
from hpml_gate import BlockTime, Metric


class Scripted:
    """Takes the time that it is told, whatever the machine does."""

    items_per_step = 4

    def __init__(self, step_ns, then=None, calls=0):
        self.step_ns, self.effective = step_ns, {"scripted": True}
        self.then, self.calls = then, calls
        self.measured = 0
        self.metrics = {
            name: Metric(value=value, better=better, margin=0.02)
            for name, (value, better) in speed.METRICS.items()
        }

    def measure(self, timer, iterations):
        self.calls -= 1
        self.measured += 1
        if self.then and self.calls < 0:
            self.then()
        ns = self.step_ns * iterations
        return [BlockTime(ns=ns, wall_ns=ns)]

    def observe(self):
        return {"observed_after_blocks": self.measured}

    def close(self):
        pass


def prepare(name):
    kind = os.environ.get(name.upper(), speed.KIND.get(name, "steady"))
    return globals()["make_" + kind](name)


def make_steady(name):
    step_ms = float(os.environ.get(name.upper() + "_MS", speed.MS.get(name, 100)))
    return Scripted(round(step_ms * 1e6))


def make_noisy(name):
    """Launches that scatter by a third."""
    return Scripted(round(1e8 * (1 + (os.getpid() * 7919 % 101) / 300)))


def make_dying_later(name):
    return Scripted(100_000_000, lambda: os.kill(os.getpid(), signal.SIGKILL), calls=12)


def make_hanging_later(name):
    def hang():
        open(os.environ["HANGING"], "w").close()
        time.sleep(600)
    return Scripted(100_000_000, hang, calls=12)


def make_scattering(name):
    """Twice as slow in the first launch of all."""
    with open("launches", "a") as launches:
        first = launches.tell() == 0
        launches.write("one more")
    return Scripted(200_000_000 if first else 100_000_000)


def make_wrong(name):
    assert 1 + 1 == 3, "a wrong sum"


def make_raising(name):
    raise RuntimeError("no such thing")


def make_dying(name):
    os.kill(os.getpid(), signal.SIGKILL)


def make_hanging(name):
    open("hanging", "w").close()
    time.sleep(600)


def make_out_of_memory(name):
    raise MemoryError


@pytest.mark.parametrize("name", ["one", "two"])
def test_step(bench, name):
    if os.environ.get("SKIP") == name:
        pytest.skip("not today")
    if os.environ.get("RETURN") == name:
        return
    bench(prepare, name)
'''

SPEED = """
MS = {"one": 100, "two": 100}
KIND, METRICS = {}, {}
"""


class Run:
    """One run of pytest over the suite, in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--gate-launches=2",
             "--junit-xml=junit.xml", *arguments],
            cwd=folder, env={**os.environ, **environment}, text=True, capture_output=True,
            check=False,
        )  # fmt: skip
        self.status = self.done.returncode
        self.output = self.done.stdout + self.done.stderr

    @property
    def failures(self) -> dict[str, str]:
        """The message of each failed test, by the test's name, out of the JUnit file."""
        cases = ET.parse(self.folder / "junit.xml").getroot().iter("testcase")
        return {
            case.attrib["name"]: failure.attrib["message"]
            for case in cases
            if (failure := case.find("failure")) is not None
        }

    @property
    def sessions(self) -> list[Path]:
        """The baseline files that stand there afterwards."""
        return sorted(self.folder.glob("gate_baselines/*/*.json"))


RunSuite = Callable[..., Run]
