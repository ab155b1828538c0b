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
from hpml_gate import BlockTime


class Scripted:
    """Takes the time that it is told, whatever the machine does."""

    items_per_step = 4

    def __init__(self, step_ns):
        self.step_ns, self.effective = step_ns, {"scripted": True}

    def measure(self, timer, iterations):
        ns = self.step_ns * iterations
        return [BlockTime(ns=ns, wall_ns=ns)]

    def close(self):
        pass


def prepare(name):
    step_ms = float(os.environ.get(name.upper() + "_MS", "100"))
    wobble = 1 + (os.getpid() % 7) * 1e-4
    return Scripted(round(step_ms * 1e6 * wobble))


def prepare_scattering(name):
    """Twice as slow in the first launch of all."""
    with open("launches", "a") as launches:
        first = launches.tell() == 0
        launches.write("one more")
    return Scripted(200_000_000 if first else 100_000_000)


def prepare_wrong(name):
    assert 1 + 1 == 3, "a wrong sum"


def prepare_raising(name):
    raise RuntimeError("no such thing")


def prepare_dying(name):
    os.kill(os.getpid(), signal.SIGKILL)


def prepare_hanging(name):
    open("hanging", "w").close()
    time.sleep(600)


def prepare_out_of_memory(name):
    raise MemoryError


PREPARE = {name[8:]: made for name, made in globals().items() if name.startswith("prepare_")}


@pytest.mark.parametrize("name", ["one", "two"])
def test_step(bench, name):
    if os.environ.get("SKIP") == name:
        pytest.skip("not today")
    if os.environ.get("RETURN") == name:
        return
    kind = os.environ.get(name.upper(), "")
    bench(PREPARE.get(kind, prepare), name)
'''


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
