"""All that touches pytest-benchmark's private parts, so that its changes are met in one place.

Used: ``BenchmarkFixture._mode`` and ``_make_stats`` (the only way to give it times that were
measured elsewhere) and ``config._benchmarksession`` (its list of benchmarks, and the
groups that its tables show).
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.utils import safe_dumps

from hpml_gate.measure.samples import Samples


def claim(benchmark: BenchmarkFixture) -> bool:
    """Take its fixture over, so that it does not warn of being unused; say whether it may time."""
    benchmark._mode = "bench(...)"  # noqa: SLF001
    return not benchmark.disabled


def record(benchmark: BenchmarkFixture, samples: Samples, axes: Mapping[str, Any]) -> None:
    """Hand over the raw times: they appear in its tables and files as if it had measured them.

    ``axes`` are the fields by which the suite knows the case.
    """
    benchmark.name = samples.case_id
    stats = benchmark._make_stats(samples.iterations)  # noqa: SLF001  see above
    for launch in samples.step_ns:
        for step_ns in launch:
            stats.update(step_ns * samples.iterations * 1e-9)
    benchmark.extra_info.update(
        case_id=samples.case_id,
        axes=dict(axes),
        launches=len(samples.step_ns),
        items_per_step=samples.items_per_step,
        items_per_s=samples.items_per_s,
        effective=dict(samples.effective),
        disturbances=[asdict(one) for one in samples.disturbances],
        metrics={
            name: {
                "values": [one.value for one in values],
                "better": values[0].better,
                "margin": values[0].margin,
            }
            for name, values in samples.metrics.items()
        },
    )


def hide_from_tables(config: pytest.Config) -> None:
    """Take what was handed over out of its tables, but where the user named a group.

    Its tables compare each row with the fastest one, and the gate's cases are not alternatives.
    """
    session = config._benchmarksession  # type: ignore[attr-defined]  # noqa: SLF001
    if session.group_by != "group" or not session.groups:
        return
    shown = [
        (name, [row for row in rows if name is not None or "case_id" not in row["extra_info"]])
        for name, rows in session.groups
    ]
    session.groups = [(name, rows) for name, rows in shown if rows]


def machine_info(config: pytest.Config) -> dict[str, Any]:
    """Ask pytest-benchmark (and the hooks of others) what machine this is."""
    info: dict[str, Any] = config._benchmarksession.get_machine_info()  # type: ignore[attr-defined]  # noqa: SLF001
    return info


def document(config: pytest.Config, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what it would save now, raw times included."""
    hook = config.hook
    made: dict[str, Any] = hook.pytest_benchmark_generate_json(
        config=config,
        benchmarks=config._benchmarksession.benchmarks,  # type: ignore[attr-defined]  # noqa: SLF001
        include_data=True,
        machine_info=machine,
        commit_info=hook.pytest_benchmark_generate_commit_info(config=config),
    )
    return made


def to_json(document: Mapping[str, Any]) -> str:
    """Write a document as it would: what JSON cannot hold (a test's parameters) by its repr."""
    text: str = safe_dumps(document, indent=1)
    return text
