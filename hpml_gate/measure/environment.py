"""A quiet process: what is set for each measured process, and where it may run."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

# With glibc's defaults a training step maps and unmaps its buffers all the time, and the number
# of page faults differs from process to process; with these thresholds they are kept. Huge pages
# make what is physically next to what less a matter of luck. Python's own allocator is left out:
# where its pools lie makes a loop of plain Python up to 40 % slower in one process of three.
QUIET_ENVIRONMENT: Mapping[str, str] = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "PYTHONMALLOC": "malloc",
    "PYTHONHASHSEED": "0",
}
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
QUIET_NAMES = (*QUIET_ENVIRONMENT, *THREAD_LIMITS)


def quiet_environment(cpus: int | None) -> dict[str, str]:
    """Return what is set for a process that computes on so many CPUs (None: on all).

    Thread counts that the user has set are the user's.
    """
    limits = {} if cpus is None else dict.fromkeys(THREAD_LIMITS, str(cpus))
    return {**QUIET_ENVIRONMENT, **{k: v for k, v in limits.items() if k not in os.environ}}


# What git sets for its hooks (git rev-parse --local-env-vars, without its configuration). A hook
# may run pytest; a git that a launch or the gate calls would then act on the hook's repository.
GIT_OF_A_HOOK = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def outside_hooks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what git tells its hooks."""
    return {name: value for name, value in environment.items() if name not in GIT_OF_A_HOOK}


def available_cpus() -> list[int]:
    """Return the CPUs that this process may run on; all where the system does not tell (macOS)."""
    if CAN_PIN:
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpus_of_launch(number: int, cpus: int | None) -> list[int]:
    """Return the CPUs of a launch: another set for each in turn, the same for all its sides."""
    there = available_cpus()
    wanted = len(there) if cpus is None else min(cpus, len(there))
    return sorted(there[(number * wanted + index) % len(there)] for index in range(wanted))


FIRST = -20  # the niceness of whom the kernel runs before all others
CAN_PIN = hasattr(os, "sched_setaffinity")  # macOS schedules as it likes


def pin(pid: int, cpus: Sequence[int] | None) -> None:
    """Hold a process, its threads and its descendants to ``cpus``; put them first, if allowed.

    Where ``cpus`` is None their affinity is left alone: NCCL and launchers bind ranks themselves.
    It is done from outside once the step stands: preparing may use the whole machine.
    """
    if not CAN_PIN:
        return
    with suppress(psutil.NoSuchProcess):  # whoever waits for its answer notices
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):  # a descendant may end meanwhile
                for thread in process.threads():
                    _pin_thread(thread.id, cpus)


def _pin_thread(thread: int, cpus: Sequence[int] | None) -> None:
    with suppress(OSError):  # a thread, too
        if cpus is not None:
            os.sched_setaffinity(thread, cpus)
        with suppress(PermissionError):  # it takes root, or CAP_SYS_NICE
            os.setpriority(os.PRIO_PROCESS, thread, FIRST)
