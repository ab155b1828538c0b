"""The machine's own clocks, whatever a test does to the module ``time``.

Tools that freeze time replace the functions of ``time`` and every module attribute that is one of
them. What an object holds they leave alone, so the gate reads its clocks from an object.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """Clocks that go on by themselves: neither is set, and neither goes backwards."""

    monotonic_s: Callable[[], float]
    perf_counter_ns: Callable[[], int]
    sleep: Callable[[float], None]


REAL = Clocks(monotonic_s=time.monotonic, perf_counter_ns=time.perf_counter_ns, sleep=time.sleep)
