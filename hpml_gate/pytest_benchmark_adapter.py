"""All that touches pytest-benchmark's private parts, so that its changes are met in one place.

Used: ``BenchmarkFixture._mode`` and ``_make_stats`` (the only way to give it times that were
measured elsewhere), ``_raw`` and ``_raw_pedantic`` (what its calls come down to) and
``config._benchmarksession`` (its list of benchmarks, its options, whether it is disabled, and the
groups that its tables show).
"""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.utils import safe_dumps

from hpml_gate.measure.samples import Samples
from hpml_gate.protocol import BlockTime

FIXTURE = "benchmark"
# What a launch must not do, by the option's name: save, compare, profile.
QUIET_OPTIONS: Mapping[str, object] = {
    "benchmark_autosave": False,
    "benchmark_compare": None,
    "benchmark_compare_fail": None,
    "benchmark_cprofile": None,
    "benchmark_histogram": None,
    "benchmark_json": None,
    "benchmark_save": None,
}


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
        parameters=samples.parameters,
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


def uses_fixture(item: pytest.Item) -> bool:
    """Whether a test asks for pytest-benchmark's own fixture, by whatever way."""
    info: Any = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs.get(FIXTURE) if info else None
    return definitions is not None and definitions[-1].func.__module__ == "pytest_benchmark.plugin"


def is_disabled(config: pytest.Config) -> bool:
    """Whether it times nothing here: its options, or pytest-xdist, say so."""
    session: Any = getattr(config, "_benchmarksession", None)
    return session is None or session.disabled or session.skip


def is_benchmark(fixture: object) -> bool:
    """Whether a fixture is its own."""
    return isinstance(fixture, BenchmarkFixture)


def replace_timing(
    benchmark: Any, call: Callable[..., object], pedantic: Callable[..., object]
) -> None:
    """Let others time what the fixture is given; it still refuses to be used twice."""
    benchmark._raw = call  # noqa: SLF001  see above
    benchmark._raw_pedantic = pedantic  # noqa: SLF001


def check_rounds(rounds: int, warmup_rounds: int, iterations: int, *, has_setup: bool) -> None:
    """Refuse what ``benchmark.pedantic`` refuses."""
    if not isinstance(iterations, int) or iterations < 1:
        raise ValueError("Must have positive int for `iterations`.")
    if not isinstance(rounds, int) or rounds < 1:
        raise ValueError("Must have positive int for `rounds`.")
    if not isinstance(warmup_rounds, int) or warmup_rounds < 0:
        raise ValueError("Must have positive int for `warmup_rounds`.")
    if iterations > 1 and has_setup:
        raise ValueError("Can't use more than 1 `iterations` with a `setup` function.")


def fill(benchmark: BenchmarkFixture, blocks: Sequence[tuple[int, Sequence[BlockTime]]]) -> None:
    """Let the test read the blocks of its launch as ``benchmark.stats``."""
    stats = benchmark._make_stats(blocks[-1][0] if blocks else 1)  # noqa: SLF001
    for _, block in blocks:
        stats.update(max(rank.ns for rank in block) * 1e-9)


def said_by_test(benchmark: BenchmarkFixture | None) -> dict[str, Any]:
    """Return what a test told the fixture, as far as it can be sent."""
    if benchmark is None:
        return {"extra_info": {}, "group": None}
    told = {str(key): _sendable(value) for key, value in benchmark.extra_info.items()}
    return {"extra_info": told, "group": benchmark.group}


def _sendable(value: object) -> object:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001  whatever pickling it raises
        return repr(value)
    return value


def fixture_of(item: pytest.Item, told: Mapping[str, Any]) -> BenchmarkFixture:
    """Make the fixture of a test that ran in launches, with what it was told there."""
    session: Any = item.config._benchmarksession  # type: ignore[attr-defined]  # noqa: SLF001
    made = BenchmarkFixture(
        item,
        add_stats=session.benchmarks.append,
        logger=session.logger,
        warner=item.warn,
        disabled=session.disabled,
        **session.options,
    )
    made.group = told["group"]
    made.extra_info.update(told["extra_info"])
    return made
