"""A run's curve as the lines that MLPerf's tools read: ``:::MLLOG {json}``."""

import json
from collections.abc import Mapping
from typing import Any

from hpml_models.quality.time_to_accuracy import Run

PREFIX = ":::MLLOG "


def mllog_lines(run: Run, *, benchmark: str, target: float, started_ms: int) -> list[str]:
    """Return the lines of one run that began at ``started_ms`` since the epoch.

    It stops at the first evaluation that reaches the target, or is aborted after its last.
    """
    reached = run.reached(target)
    shown = [one for one in run.evaluations if reached is None or one.epoch <= reached.epoch]
    last = shown[-1].seconds if shown else 0.0

    def at(seconds: float) -> int:
        return started_ms + round(1000 * seconds)

    status = "aborted" if reached is None else "success"
    return [
        _line(at(0), "POINT_IN_TIME", "submission_benchmark", benchmark),
        _line(at(0), "POINT_IN_TIME", "global_batch_size", run.batch),
        _line(at(0), "POINT_IN_TIME", "seed", run.seed),
        _line(at(0), "POINT_IN_TIME", "target_accuracy", target),
        _line(at(0), "INTERVAL_START", "run_start", None),
        *(
            _line(
                at(one.seconds),
                "POINT_IN_TIME",
                "eval_accuracy",
                one.quality,
                {"epoch_num": one.epoch, "samples_count": one.samples},
            )
            for one in shown
        ),
        _line(at(last), "INTERVAL_END", "run_stop", None, {"status": status}),
    ]


def _line(
    time_ms: int, event: str, key: str, value: Any, metadata: Mapping[str, Any] | None = None
) -> str:
    content = {
        "namespace": "",
        "time_ms": time_ms,
        "event_type": event,
        "key": key,
        "value": value,
        "metadata": {"file": "", "lineno": 0, **(metadata or {})},
    }
    return PREFIX + json.dumps(content)
