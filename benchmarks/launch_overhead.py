"""What a launch of a plain test costs beside importing its suite: run by hand, prints a table.

python benchmarks/launch_overhead.py [--launches N]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from hpml_gate.clocks import REAL
from hpml_gate.measure.launch import Deadline, Side, workers
from hpml_gate.run.launched import TestRequest

SUITE = "import json\n\n\ndef test_loads(benchmark):\n    benchmark(json.loads, '[1, 2]')\n"
PLUGINS = ("-p", "pytest_benchmark.plugin", "-p", "hpml_gate.plugin", "-p", "no:cacheprovider")


def launch_s(file: Path) -> float:
    """Return the seconds until a launch stands at its call, and has ended after that."""
    request = TestRequest(
        file=file,
        name="test_loads",
        arguments=("-q", *PLUGINS),
        folder=file.parent,
        environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    start_s = REAL.monotonic_s()
    with workers([(Side(), request)], [0], 1, Deadline(timeout_s=60)) as started:
        started[0].ask("time", 1)
    return REAL.monotonic_s() - start_s


def import_s(file: Path) -> float:
    """Return the seconds of a fresh interpreter that imports pytest, its plugins and the suite."""
    code = "import pytest, pytest_benchmark.plugin, hpml_gate.plugin, test_suite"
    start_s = REAL.monotonic_s()
    subprocess.run([sys.executable, "-c", code], cwd=file.parent, check=True)  # noqa: S603  a fixed command
    return REAL.monotonic_s() - start_s


def main() -> None:
    """Take turns, so that both see the same machine; print medians and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=10)
    launches = parser.parse_args().launches
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test_suite.py"
        file.write_text(SUITE)
        turns = [(import_s(file), launch_s(file)) for _ in range(launches)]
    imported, launched = (median(times) for times in zip(*turns, strict=True))
    print("| import, s | launch, s | launch beyond import, s | launch / import |")  # noqa: T201
    print("|---|---|---|---|")  # noqa: T201
    print(  # noqa: T201
        f"| {imported:.2f} | {launched:.2f} | {launched - imported:.2f} "
        f"| {launched / imported:.2f} |"
    )


if __name__ == "__main__":
    main()
