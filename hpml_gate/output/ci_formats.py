"""A run in the formats that CI services read, each made from ``gate.json``'s data alone.

- ``comment.md``: a comment for the pull request;
- ``github-action-benchmark.json``: that action's ``customSmallerIsBetter`` (name, unit, value,
  range, extra), from the documentation of benchmark-action/github-action-benchmark;
- ``bencher.json``: Bencher Metric Format, https://bencher.dev/docs/reference/bencher-metric-format.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SIGNS = {"slower": "❌", "inconclusive": "❔", "incomparable": "❔", "new": "🆕", "faster": "🚀"}
Run = Mapping[str, Any]  # gate.json


def all_of(run: Run) -> dict[str, str]:
    """Return the text of each file by its name."""
    return {
        "comment.md": "\n".join(_comment(run)) + "\n",
        "github-action-benchmark.json": json.dumps(_github_action(run), indent=1),
        "bencher.json": json.dumps(_bencher(run), indent=1),
    }


def _comment(run: Run) -> Iterator[str]:
    rows = [
        (case, one)
        for case in run["cases"]
        for one in case["verdicts"]
        if one["metric"] == "time" or one["status"] != "pass"
    ]
    counted = ", ".join(
        f"{sum(one['status'] == status for _, one in rows)} {status}"
        for status in dict.fromkeys(["slower", *(one["status"] for _, one in rows)])
    )
    against = f"base `{run['base'][:12]}`" if run["base"] else "this machine's stored baselines"
    yield f"### Performance: {counted}"
    yield ""
    yield f"Against {against}, on `{run['machine']['id']}`."
    yield ""
    yield "| | case | ratio | interval | margin |"
    yield "|---|---|---|---|---|"
    for case, one in sorted(rows, key=lambda row: -(row[1]["ratio"] or 0.0)):
        yield _row(case, one, run["confidence"])
    judged = {case["test"] for case in run["cases"] if case["verdicts"][0]["ratio"] is not None}
    yield from (
        f"\nFailed without a verdict: `{test}`" for test in run["failed"] if test not in judged
    )
    yield from (f"\n{note}" for note in run["notes"])


def _row(case: Run, one: Run, confidence: float) -> str:
    name = case["case_id"] + ("" if one["metric"] == "time" else f" ({one['metric']})")
    sign = f"{SIGNS.get(one['status'], '✅')} {one['status']}"
    if one["ratio"] is None:
        return f"| {sign} | `{name}` | {one['reason']} | | |"
    interval = f"{one['low']:.3f} to {one['high']:.3f} ({confidence:.0%})"
    return f"| {sign} | `{name}` | {one['ratio']:.3f} | {interval} | {one['margin']:.0%} |"


def _github_action(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "name": case["case_id"],
            "unit": "ns/step",
            "value": case["median_ns"],
            "range": f"± {_half_range(case):.0f}",
            "extra": "; ".join(_said(one) for one in case["verdicts"]),
        }
        for case in run["cases"]
    ]


def _half_range(case: Run) -> float:
    return float(max(case["launch_medians_ns"]) - min(case["launch_medians_ns"])) / 2


def _said(one: Run) -> str:
    return f"{one['metric']}: {one['status']}" + (f" {one['ratio']:.3f}" if one["ratio"] else "")


def _bencher(run: Run) -> dict[str, dict[str, dict[str, float]]]:
    return {
        case["case_id"]: {
            "latency": {
                "value": case["median_ns"],
                "lower_value": min(case["launch_medians_ns"]),
                "upper_value": max(case["launch_medians_ns"]),
            },
            "throughput": {"value": case["items_per_s"]},
            **{name.replace("_", "-"): {"value": one} for name, one in case["metrics"].items()},
        }
        for case in run["cases"]
    }
