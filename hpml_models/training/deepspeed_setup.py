"""DeepSpeed's engine, set up as the suite needs it. DeepSpeed is imported when it is used."""

import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from shutil import which
from typing import TYPE_CHECKING, Any

from hpml_models.types import Device, Rank, Task

if TYPE_CHECKING:
    from torch import nn


def why_not_deepspeed(device: Device) -> str | None:
    """Return why DeepSpeed cannot be used here, None if it can; it is not imported."""
    if not find_spec("deepspeed"):
        return "DeepSpeed is not installed (pip install deepspeed)"
    if device == "cpu" and not which(os.environ.get("CXX", "c++")):
        return (
            "DeepSpeed builds an operator on a CPU, and there is no C++ compiler: "
            "install g++, or set CXX"
        )
    return None


def initialize(
    task: Task, module: Any, parameters: "Iterable[tuple[str, nn.Parameter]]", **config: Any
) -> Any:
    """Return an engine around ``module``, in the process group that there is.

    Clipping is stated: DeepSpeed's own default is a norm of 1.
    """
    deepspeed, recipe = set_up(task.rank), task.spec.recipe
    settings = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": task.micro_batches,
        "gradient_clipping": recipe.clip_norm or 0.0,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        **_autocast(task),
        **config,
    }
    engine, *_ = deepspeed.initialize(
        model=module,
        model_parameters=recipe.groups(parameters),
        optimizer=recipe.optimizer,
        config=settings,
        dist_init_required=False,
    )
    return engine


def _autocast(task: Task) -> Mapping[str, Any]:
    dtype = task.precision.autocast
    return {"torch_autocast": {"enabled": True, "dtype": dtype}} if dtype else {}


def set_up(rank: Rank) -> Any:
    """Import DeepSpeed into a rank, without its reports of what it found and built.

    Its engine wants to be told by the environment which of the machine's devices is its own.
    Call this before anything else of DeepSpeed.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    os.environ["LOCAL_RANK"] = rank.device.partition(":")[2] or str(rank.index)
    if rank.device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    import torch.distributed as dist

    with redirect_stdout(StringIO()):
        import deepspeed

        # What a pipeline left in a module of DeepSpeed's would make a later engine its part.
        deepspeed.utils.groups.mpu = None
        deepspeed.utils.logger.setLevel(logging.ERROR)
        deepspeed.init_distributed(dist.get_backend(), auto_mpi_discovery=False, verbose=False)
    return deepspeed
