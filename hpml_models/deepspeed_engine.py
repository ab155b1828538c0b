"""DeepSpeed's engine, set up as the suite needs it. Imports torch and DeepSpeed."""

import os
from collections.abc import Mapping
from typing import Any

from hpml_models.types import Task


def why_not_deepspeed() -> str | None:
    """Return why DeepSpeed cannot be used here, None if it can; it is not imported."""
    from importlib.util import find_spec

    return None if find_spec("deepspeed") else "DeepSpeed is not installed (pip install deepspeed)"


def initialize(task: Task, module: Any, parameters: Any, **config: Any) -> Any:
    """Return an engine around ``module``, in the process group that there is.

    Clipping is stated: DeepSpeed's own default is a norm of 1.
    """
    deepspeed = _deepspeed(task.rank.device)
    settings = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": task.micro_batches,
        "gradient_clipping": task.clip_norm or 0.0,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
        **_autocast(task),
        **config,
    }
    engine, *_ = deepspeed.initialize(
        model=module,
        model_parameters=parameters,
        optimizer=task.spec.optimizer,
        config=settings,
        dist_init_required=False,
    )
    return engine


def _autocast(task: Task) -> Mapping[str, Any]:
    dtype = task.precision.autocast
    return {"torch_autocast": {"enabled": True, "dtype": dtype}} if dtype else {}


def _deepspeed(device: str) -> Any:
    """Import DeepSpeed for a kind of device, without its report of what it found."""
    import logging

    if device == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "error")
    import deepspeed

    deepspeed.utils.logger.setLevel(logging.ERROR)
    deepspeed.init_distributed(dist_init_required=False, verbose=False)
    return deepspeed
