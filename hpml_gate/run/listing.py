"""A plugin that lists the tests which measure: the gate runs it over a base commit's worktree."""

import json
import os
from pathlib import Path

import pytest

from hpml_gate.run.settings import gates_plain

LISTING = "HPML_GATE_LISTING"  # the environment variable that says where to


LAUNCHED = "hpml_gate_launch"  # the plugin of a launch; where it is, nothing is judged


def measures(item: pytest.Item) -> bool:
    """Whether a test measures for the gate."""
    return uses_bench(item) or is_plain(item)


def uses_bench(item: pytest.Item) -> bool:
    """Whether a test hands steps to the gate itself."""
    return "bench" in getattr(item, "fixturenames", ())


def is_recorded(item: pytest.Item) -> bool:
    """Whether a test is a cell of the run's record."""
    return measures(item) or "gate_cell" in getattr(item, "fixturenames", ())


def is_plain(item: pytest.Item) -> bool:
    """Whether a test is gated as it stands: it uses pytest-benchmark's own fixture alone."""
    if not gates_plain(item.config) or uses_bench(item):
        return False
    from hpml_gate import pytest_benchmark_adapter as adapter

    return adapter.uses_fixture(item) and not adapter.is_disabled(item.config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the node ids that are left after all selection."""
    tests = [item.nodeid for item in session.items if measures(item)]
    Path(os.environ[LISTING]).write_text(json.dumps(tests), encoding="utf-8")
