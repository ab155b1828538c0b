"""What disturbed a launch: kept beside its times, and named when they decide nothing."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from hpml_gate.protocol import BlockTime

# Where one of these is passed, it is named: others' use of the CPUs, steal, preemptions a second.
MUCH_OTHERS, MUCH_STEAL, MANY_PREEMPTIONS, MANY_FAULTS = 0.10, 0.02, 20.0, 10.0
CLOCK_VARIES = 1.05
SMI_S = 20
GPU_QUERY = "clocks.sm,temperature.gpu,clocks_throttle_reasons.active"


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The kernel's counters since boot, in ticks summed over all CPUs (proc(5), /proc/stat)."""

    busy: int
    idle: int
    steal: int

    @classmethod
    def read(cls) -> "Counters":
        """Read them now."""
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
        user, nice, system, idle, waiting, irq, soft_irq, steal = map(int, first.split()[1:9])
        return cls(busy=user + nice + system + irq + soft_irq, idle=idle + waiting, steal=steal)


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What went on while the blocks of a launch were timed.

    Shares are of all CPUs' time; ``own_share`` is that of the measured processes.
    """

    busy_share: float
    own_share: float
    steal_share: float
    preemptions_per_s: float
    page_faults_per_block: float
    cpu_mhz: float | None = None  # mean over the CPUs, where the machine tells
    gpus: Sequence[str] = ()

    @property
    def others_share(self) -> float:
        """What other processes used."""
        return max(0.0, self.busy_share - self.own_share)


def between(
    before: Counters, after: Counters, blocks: Iterable[Sequence[BlockTime]]
) -> Disturbance:
    """Put together what the kernel counted and what the processes saw themselves."""
    ranks = [rank for block in blocks for rank in block]
    busy, idle = after.busy - before.busy, after.idle - before.idle
    steal = after.steal - before.steal
    ticks = max(1, busy + idle + steal)
    wall_s = max(1e-9, sum(rank.wall_ns for rank in ranks) * 1e-9)
    return Disturbance(
        busy_share=busy / ticks,
        own_share=min(busy, sum(rank.cpu_ns for rank in ranks) * 1e-9 * _ticks_per_s()) / ticks,
        steal_share=steal / ticks,
        preemptions_per_s=sum(rank.preemptions for rank in ranks) / wall_s,
        page_faults_per_block=median(rank.page_faults for rank in ranks),
        cpu_mhz=_cpu_mhz(),
        gpus=gpu_states(),
    )


def name(disturbances: Sequence[Disturbance]) -> str:
    """Say what disturbed these launches, nothing if nothing stands out."""
    others = median(one.others_share for one in disturbances)
    steal = median(one.steal_share for one in disturbances)
    preemptions = median(one.preemptions_per_s for one in disturbances)
    faults = median(one.page_faults_per_block for one in disturbances)
    found = []
    if others > MUCH_OTHERS:
        found.append(f"other processes used {others:.0%} of the CPUs")
    if steal > MUCH_STEAL:
        found.append(f"the hypervisor took {steal:.0%} of the CPUs away")
    if preemptions > MANY_PREEMPTIONS:
        found.append(f"the step was preempted {preemptions:.0f} times a second")
    if faults > MANY_FAULTS:
        found.append(f"{faults:.0f} page faults in a block")
    clocks = [one.cpu_mhz for one in disturbances if one.cpu_mhz]
    if clocks and max(clocks) > CLOCK_VARIES * min(clocks):
        found.append(f"the CPUs' clock went from {min(clocks):.0f} to {max(clocks):.0f} MHz")
    found += sorted({f"GPU throttled ({gpu})" for one in disturbances for gpu in _throttled(one)})
    return "; ".join(found)


def _cpu_mhz() -> float | None:
    """Return the mean clock that /proc/cpuinfo shows; some virtual machines show a constant."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    clocks = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return sum(clocks) / len(clocks) if clocks else None


@cache
def _smi() -> str | None:
    return shutil.which("nvidia-smi")


def gpu_states() -> tuple[str, ...]:
    """Return clock, temperature and throttle reasons of each NVIDIA GPU, by its driver's tool."""
    if (tool := _smi()) is None:
        return ()
    command = [tool, f"--query-gpu={GPU_QUERY}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(  # noqa: S603  a fixed command
            command, capture_output=True, text=True, check=False, timeout=SMI_S
        )
    except subprocess.TimeoutExpired:
        return ()
    return tuple(answer.stdout.splitlines()) if answer.returncode == 0 else ()


def _throttled(disturbance: Disturbance) -> list[str]:
    """Return the GPUs held back by power, heat or hardware; being idle (0x1) is no reason."""
    idle = 1
    told = [gpu for gpu in disturbance.gpus if "0x" in gpu]  # some GPUs say [N/A]
    return [gpu for gpu in told if int(gpu.rpartition(",")[2], 16) & ~idle]


@cache
def _ticks_per_s() -> int:
    return os.sysconf("SC_CLK_TCK")
