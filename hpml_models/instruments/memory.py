"""Peak memory of the process or the device, as a second metric beside the time."""

from pathlib import Path

from hpml_steps.metric import Metric


def peak_memory_bytes(device: str) -> int:
    """Return the most memory that was held at once: by the allocator on CUDA, resident on a CPU."""
    if device != "cpu":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024  # proc(5): in kB


def metrics_of(peak_bytes: int) -> dict[str, Metric]:
    """Return what a step says beside its time; resident pages differ a little by themselves."""
    return {"peak_memory_bytes": Metric(value=peak_bytes, better="lower", margin=0.10)}
