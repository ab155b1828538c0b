"""Compiled code is kept: importing compiles nothing, and a second process loads what is there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hpml_kernels
import hpml_steps

IMPORT = """
import gc, json
from numba.core.dispatcher import Dispatcher
from hpml_kernels.registry import kernels
kernels()
ours = [one for one in gc.get_objects() if isinstance(one, Dispatcher)
        and one.py_func.__module__.startswith("hpml_kernels")]
print(json.dumps([len(ours), sum(len(one.overloads) for one in ours)]))
"""
CALL = """
import json, numpy as np
from hpml_kernels.kernels.histogram import KERNEL, histogram_serial
x = np.arange(1000, dtype=np.uint8)
out = KERNEL.make_out(x)
KERNEL.variants["numba"].bind(x, out).run()
assert out.sum() == 1000
stats = histogram_serial.stats
print(json.dumps([sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


def ask(script: str, cache: Path, source: Path | None = None) -> list[int]:
    """Run a script in a process of its own; return what it prints."""
    root = source or Path(hpml_kernels.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(root)},
        cwd=cache,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[int] = json.loads(done.stdout)
    return found


def test_importing_every_kernel_compiles_nothing(tmp_path: Path) -> None:
    there, compiled = ask(IMPORT, tmp_path)
    assert there > 20
    assert compiled == 0
    assert not list(tmp_path.rglob("*.nb*"))


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert ask(CALL, tmp_path) == [0, 1]
    assert ask(CALL, tmp_path) == [1, 0]


def test_a_change_in_any_source_file_compiles_anew(tmp_path: Path) -> None:
    """numba itself would look at the function's own file alone, but much is inlined from others."""
    source, cache = tmp_path / "source", tmp_path / "cache"
    cache.mkdir()
    for package in (hpml_kernels, hpml_steps):
        folder = Path(str(package.__file__)).parent
        shutil.copytree(folder, source / folder.name)
    assert ask(CALL, cache, source) == [0, 1]
    with (source / "hpml_kernels" / "checks.py").open("a") as other:
        other.write("# changed\n")
    assert ask(CALL, cache, source) == [0, 1]
