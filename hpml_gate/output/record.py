"""``gate.json``: a run's verdicts and what they rest on, for programs: see docs/gate."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hpml_gate.judge.verdict import CONFIDENCE, Verdict
from hpml_gate.protocol import TIME
from hpml_gate.run.session import GateSession, MeasuredCase

SCHEMA_VERSION = 1


def of(gate: GateSession, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run as plain data; ``document`` is pytest-benchmark's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "datetime": document["datetime"],
        "commit": document["commit_info"],
        "machine": {
            "id": gate.baselines.fingerprint.id,
            "facts": gate.baselines.fingerprint.facts,
        },
        "mode": gate.settings.mode,
        "base": gate.base_commit if gate.is_paired else None,
        "confidence": CONFIDENCE,
        "notes": gate.notes,
        "cases": [_case(one, failed=test in gate.failed) for test, one in gate.cases.items()],
        "failed": sorted(gate.failed),
    }


def _case(one: MeasuredCase, *, failed: bool) -> dict[str, Any]:
    samples, pairs = one.samples, one.pairs
    disturbances = [pair.head.disturbance for pair in pairs] or samples.disturbances
    return {
        "case_id": one.case.id,
        "test": one.case.test,
        "failed": failed,
        "verdicts": [_verdict(verdict) for verdict in one.verdicts],
        "median_ns": samples.median_ns,
        "items_per_step": samples.items_per_step,
        "items_per_s": samples.items_per_s,
        "launch_medians_ns": samples.launch_medians_ns,
        "log_ratios": [pair.log_ratio for pair in pairs],
        "metrics": {name: values[-1].value for name, values in samples.metrics.items()},
        "effective": dict(samples.effective),
        "disturbances": [asdict(disturbance) for disturbance in disturbances],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    shown = asdict(verdict)
    del shown["case_id"]
    return {**shown, "unit": "ns" if verdict.metric == TIME else verdict.metric.rpartition("_")[2]}
