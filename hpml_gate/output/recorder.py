"""A run becomes its record: what was measured, what was not and why, and on what machine."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from hpml_gate import record
from hpml_gate.clocks import REAL
from hpml_gate.judge.verdict import CONFIDENCE, Verdict
from hpml_gate.measure.samples import Launch, Samples
from hpml_gate.protocol import TIME
from hpml_gate.record import plain
from hpml_gate.run.cells import Cell
from hpml_gate.run.session import GateSession, MeasuredCase

TOOLS = ("hpml", "pytest", "pytest-benchmark")


def record_of(
    gate: GateSession, document: Mapping[str, Any], exit_status: int, problems: Sequence[str]
) -> record.Run:
    """Return the run's record; ``document`` is pytest-benchmark's."""
    return record.Run(
        datetime=document["datetime"],
        duration_s=REAL.monotonic_s() - gate.started_s,
        command=["pytest", *map(str, gate.config.invocation_params.args)],
        exit_status=exit_status,
        mode=gate.settings.mode,
        commit=_commit(document["commit_info"]),
        base=record.Commit(id=gate.base_commit, branch=gate.settings.base)
        if gate.is_paired
        else None,
        machine=record.Machine(
            id=gate.baselines.fingerprint.id, facts=plain(gate.baselines.fingerprint.facts)
        ),
        versions=_versions([*TOOLS, *gate.settings.packages]),
        confidence=CONFIDENCE,
        cases=[_case(gate, cell) for cell in gate.cells.values()],
        origins=plain(gate.bases.origins),
        notes=plain(gate.notes),
        problems=plain(problems),
    )


def _commit(info: Mapping[str, Any]) -> record.Commit:
    return record.Commit(
        id=str(info["id"]),
        time=info.get("time"),
        branch=info.get("branch"),
        dirty=bool(info.get("dirty")),
    )


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _case(gate: GateSession, cell: Cell) -> record.Case:
    measured = gate.cases.get(cell.test)
    case_id = measured.case.id if measured else cell.description.case_id or _stored_id(gate, cell)
    return record.Case(
        case_id=plain(case_id),
        test=plain(cell.test),
        axes=plain(cell.description.axes),
        status=cell.status,
        failed=cell.test in gate.failed,
        duration_s=cell.duration_s,
        reason=plain(cell.reason),
        message=plain(cell.message),
        verdicts=[_verdict(one) for one in measured.verdicts] if measured else [],
        measurement=_measurement(gate, measured) if measured else None,
        theory=plain(cell.description.theory),
        curves=cell.curves,
        tables=plain(cell.tables),
    )


def _stored_id(gate: GateSession, cell: Cell) -> str:
    """Return the id of a case that is missing, by its baseline; else the test's."""
    return next((one.case_id for one in gate.missing if one.test == cell.test), cell.test)


def _verdict(one: Verdict) -> record.Verdict:
    return record.Verdict(
        metric=plain(one.metric),
        status=one.status,
        margin=one.margin,
        against=one.against,
        ratio=one.ratio,
        low=one.low,
        high=one.high,
        reason=plain(one.reason),
        unit="ns" if one.metric == TIME else plain(one.metric.rpartition("_")[2]),
    )


def _measurement(gate: GateSession, one: MeasuredCase) -> record.Measurement:
    samples, pairs = one.samples, one.pairs
    heads = [pair.head for pair in pairs]
    disturbances = [head.disturbance for head in heads] or samples.disturbances
    return record.Measurement(
        launches_ns=quantiles([head.step_ns for head in heads] or samples.step_ns),
        blocks=len(samples.step_ns[0]),
        iterations=samples.iterations,
        items_per_step=samples.items_per_step,
        metrics=_metrics(samples, heads),
        effective=plain(samples.effective),
        disturbances=[record.Disturbance(**plain(asdict(each))) for each in disturbances],
        comparison=_comparison(gate, one),
    )


def _metrics(samples: Samples, heads: Sequence[Launch]) -> dict[str, record.MetricValues]:
    """Return a value for each launch that is in the record."""
    found = {name: [head.metrics[name] for head in heads] for name in samples.metrics}
    return {
        plain(name): record.MetricValues(
            values=[float(each.value) for each in found[name] or values],
            better=values[0].better,
            margin=values[0].margin,
        )
        for name, values in samples.metrics.items()
    }


def _comparison(gate: GateSession, one: MeasuredCase) -> record.Comparison | None:
    """Return the other side, where there is a ratio."""
    if one.pairs:
        return record.Comparison(
            kind="base",
            commit=one.pairs_commit,
            launches_ns=quantiles([pair.base.step_ns for pair in one.pairs]),
            log_ratios=[pair.log_ratio for pair in one.pairs],
        )
    if not one.verdicts or one.verdict.ratio is None:
        return None
    baseline = gate.baselines.by_case[one.case.id]
    return record.Comparison(
        kind="baseline",
        commit=baseline.commit,
        launches_ns=quantiles(baseline.step_ns),
        log_ratios=[],
    )


def quantiles(launches_ns: Sequence[Sequence[float]]) -> list[record.Quantiles]:
    """Reduce launches x blocks to five quantiles for each launch."""
    found = []
    for launch in launches_ns:
        low, lower, middle, upper, high = map(float, np.percentile(launch, [0, 25, 50, 75, 100]))
        found.append((low, lower, middle, upper, high))
    return found
