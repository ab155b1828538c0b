"""Counting together: a counter that is read and written loses counts, an atomic one does not."""

import os
import subprocess
import sys
from pathlib import Path

RACE = """
import numpy as np
from hpml_kernels.cuda import cuda

@cuda.jit
def racing(counter):
    seen = counter[0]
    cuda.syncthreads()  # as hardware does it: all have read before the first writes
    counter[0] = seen + 1

@cuda.jit
def atomic(counter):
    cuda.syncthreads()
    cuda.atomic.add(counter, 0, 1)

for kernel in (racing, atomic):
    counter = np.zeros(1, np.int64)
    kernel[1, 64](counter)
    print(counter[0])
"""


def test_a_racing_counter_is_wrong_and_an_atomic_one_right(tmp_path: Path) -> None:
    script = tmp_path / "race.py"
    script.write_text(RACE)
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.stdout.split() == ["1", "64"], done.stderr
