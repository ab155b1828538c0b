"""Records made by hand, for what is drawn and written from them."""

from typing import Any

from hpml_gate.output.recorder import quantiles
from hpml_gate.record import Case, Commit, Comparison, Machine, Measurement, Run, Verdict

Launches = list[list[float]]


def measurement(now: Launches, then: Launches | None = None, **changes: Any) -> Measurement:
    comparison = then and Comparison(
        kind="baseline", commit=None, launches_ns=quantiles(then), log_ratios=[]
    )
    values: dict[str, Any] = {
        "launches_ns": quantiles(now),
        "blocks": len(now[0]),
        "iterations": 1,
        "items_per_step": 1,
        "metrics": {},
        "effective": {},
        "disturbances": [],
        "comparison": comparison or None,
    }
    return Measurement(**(values | changes))


def verdict(status: str = "pass", ratio: float | None = 1.0, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "metric": "time",
        "status": status,
        "margin": 0.1,
        "against": "baseline",
        "ratio": ratio,
        "low": ratio and ratio * 0.99,
        "high": ratio and ratio * 1.01,
        "reason": "",
        "unit": "ns",
    }
    return Verdict(**(values | changes))


def case(case_id: str = "a case", *verdicts: Verdict, **changes: Any) -> Case:
    values: dict[str, Any] = {
        "case_id": case_id,
        "test": f"test_suite.py::test[{case_id}]",
        "axes": {},
        "status": "ok",
        "failed": False,
        "duration_s": 1.0,
        "verdicts": [*verdicts],
        "measurement": measurement([[100.0, 101.0, 102.0]] * 2),
    }
    return Case(**(values | changes))


def unmeasured(case_id: str, status: str, reason: str = "") -> Case:
    return case(case_id, status=status, reason=reason, measurement=None)


def run(*cases: Case, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "datetime": "2026-11-27T20:00:00",
        "duration_s": 10.0,
        "command": ["pytest", "benchmarks"],
        "exit_status": 0,
        "mode": "auto",
        "commit": Commit(id="0" * 40),
        "base": None,
        "machine": Machine(id="test-cpu", facts={}),
        "versions": {"python": "3.11.0"},
        "confidence": 0.98,
        "cases": [*cases],
    }
    return Run(**(values | changes))
