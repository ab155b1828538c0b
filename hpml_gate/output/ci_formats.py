"""A run in the formats that CI services read, each made from the run's record alone.

- ``comment.md``: a comment for the pull request, see :mod:`hpml_gate.output.comment`;
- ``github-action-benchmark.json``: that action's ``customSmallerIsBetter`` (name, unit, value,
  range, extra), from the documentation of benchmark-action/github-action-benchmark;
- ``bencher.json``: Bencher Metric Format, https://bencher.dev/docs/reference/bencher-metric-format.
"""

import json
from collections.abc import Iterator
from typing import Any

from hpml_gate.output.comment import comment
from hpml_gate.record import Case, Measurement, Run, Verdict


def all_of(run: Run) -> dict[str, str]:
    """Return the text of each file by its name."""
    return {
        "comment.md": comment(run),
        "github-action-benchmark.json": json.dumps(_github_action(run), indent=1),
        "bencher.json": json.dumps(_bencher(run), indent=1),
    }


def _measured(run: Run) -> Iterator[tuple[Case, Measurement]]:
    return ((case, case.measurement) for case in run.cases if case.measurement)


def _github_action(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "name": case.case_id,
            "unit": "ns/step",
            "value": one.median_ns,
            "range": f"± {(max(one.launch_medians_ns) - min(one.launch_medians_ns)) / 2:.0f}",
            "extra": "; ".join(_in_short(verdict) for verdict in case.verdicts),
        }
        for case, one in _measured(run)
    ]


def _in_short(one: Verdict) -> str:
    return f"{one.metric}: {one.status}" + (f" {one.ratio:.3f}" if one.ratio else "")


def _bencher(run: Run) -> dict[str, dict[str, dict[str, float]]]:
    return {
        case.case_id: {
            "latency": {
                "value": one.median_ns,
                "lower_value": min(one.launch_medians_ns),
                "upper_value": max(one.launch_medians_ns),
            },
            "throughput": {"value": one.items_per_s},
            **{
                name.replace("_", "-"): {"value": metric.values[-1]}
                for name, metric in one.metrics.items()
            },
        }
        for case, one in _measured(run)
    }
