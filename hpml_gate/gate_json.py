"""``gate.json``: a run's verdicts and what they rest on, for programs (see docs/gate.md)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hpml_gate.protocol import TIME
from hpml_gate.session import GateSession
from hpml_gate.verdict import CONFIDENCE, Verdict

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
        "cases": [_case(gate, test, case_id) for test, case_id in gate.cases.items()],
        "failed": sorted(gate.failed),
    }


def _case(gate: GateSession, test: str, case_id: str) -> dict[str, Any]:
    samples = gate.samples[case_id]
    pairs = gate.pairs.get(case_id, ())
    disturbances = [pair.head.disturbance for pair in pairs] or samples.disturbances
    return {
        "case_id": case_id,
        "test": test,
        "failed": test in gate.failed,
        "verdicts": [_verdict(one) for one in gate.verdicts_of(test)],
        "median_ns": samples.median_ns,
        "items_per_step": samples.items_per_step,
        "items_per_s": samples.items_per_s,
        "launch_medians_ns": samples.launch_medians_ns,
        "log_ratios": [pair.log_ratio for pair in pairs],
        "metrics": {name: values[-1].value for name, values in samples.metrics.items()},
        "effective": dict(samples.effective),
        "disturbances": [asdict(one) for one in disturbances],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    shown = asdict(verdict)
    del shown["case_id"]
    return {**shown, "unit": "ns" if verdict.metric == TIME else verdict.metric.rpartition("_")[2]}
