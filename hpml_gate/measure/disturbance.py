"""What disturbed a launch: kept beside its times, and named when they decide nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from hpml_gate.measure.gpus import GpuState, driver, held_back, states
from hpml_gate.protocol import BlockTime

# Where one of these is passed, it is named: others' use of the CPUs, steal, preemptions a second.
MUCH_OTHERS, MUCH_STEAL, MANY_PREEMPTIONS, MANY_FAULTS = 0.10, 0.02, 20.0, 10.0
CLOCK_VARIES = 1.05


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The kernel's counters since boot, in seconds summed over all CPUs, and the GPUs' own."""

    busy_s: float
    idle_s: float
    steal_s: float
    gpus: Sequence[GpuState] = ()

    @classmethod
    def read(cls) -> "Counters":
        """Read them now. What a system does not count (macOS: steal, waiting) is 0."""
        times = psutil.cpu_times()._asdict()
        busy = (times.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
        return cls(
            busy_s=sum(busy),
            idle_s=times["idle"] + times.get("iowait", 0.0),
            steal_s=times.get("steal", 0.0),
            gpus=states(driver()),
        )


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
    gpus: Sequence[str] = ()  # with clock and temperature
    gpus_held_back: Sequence[str] = ()  # which, by what

    @property
    def others_share(self) -> float:
        """What other processes used."""
        return max(0.0, self.busy_share - self.own_share)


def between(
    before: Counters, after: Counters, blocks: Iterable[Sequence[BlockTime]]
) -> Disturbance:
    """Put together what the kernel counted and what the processes saw themselves."""
    ranks = [rank for block in blocks for rank in block]
    busy_s, idle_s = after.busy_s - before.busy_s, after.idle_s - before.idle_s
    steal_s = after.steal_s - before.steal_s
    passed_s = max(1e-9, busy_s + idle_s + steal_s)
    own_s = sum(rank.cpu_ns for rank in ranks) * 1e-9
    wall_s = max(1e-9, sum(rank.wall_ns for rank in ranks) * 1e-9)
    return Disturbance(
        busy_share=busy_s / passed_s,
        own_share=min(busy_s, own_s) / passed_s,
        steal_share=steal_s / passed_s,
        preemptions_per_s=sum(rank.preemptions for rank in ranks) / wall_s,
        page_faults_per_block=median(rank.page_faults for rank in ranks),
        cpu_mhz=_cpu_mhz(),
        gpus=[str(gpu) for gpu in after.gpus],
        gpus_held_back=[
            cause
            for earlier, later in zip(before.gpus, after.gpus, strict=False)
            for cause in held_back(earlier, later)
        ],
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
    found += sorted({cause for one in disturbances for cause in one.gpus_held_back})
    return "; ".join(found)


def _cpu_mhz() -> float | None:
    """Return the mean clock over the CPUs; some virtual machines show a constant, some nothing."""
    try:
        clock = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return clock.current if clock else None
