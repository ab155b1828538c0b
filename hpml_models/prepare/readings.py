"""What a step of one rank reads of itself, whatever it does."""

from collections.abc import Callable
from typing import Any

from hpml_models.cases.hardware import is_oversubscribed
from hpml_models.instruments.memory import metrics_of, peak_memory_bytes
from hpml_models.instruments.utilisation import utilisation
from hpml_models.types import Case, Rank


def environment(case: Case) -> dict[str, Any]:
    """Read back what the process computes with."""
    import torch

    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "oversubscribed": is_oversubscribed(case),
    }


def readings(
    rank: Rank, run: Callable[[], object], check: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Return what a step reads beside the time, and what it checks when timing is over."""

    def observe() -> dict[str, Any]:
        check()
        return {"utilisation": utilisation(rank.device, run)}

    return {
        "read_metrics": lambda: metrics_of(peak_memory_bytes(rank.device)),
        "observe": observe,
    }
