"""A plugin that lists the tests which measure: the gate runs it over a base commit's worktree."""

import json
import os
from pathlib import Path

import pytest

LISTING = "HPML_GATE_LISTING"  # the environment variable that says where to


def uses_bench(item: pytest.Item) -> bool:
    """Say whether a test measures."""
    return "bench" in getattr(item, "fixturenames", ())


def is_recorded(item: pytest.Item) -> bool:
    """Whether a test is a cell of the run's record."""
    return uses_bench(item) or "gate_cell" in getattr(item, "fixturenames", ())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the node ids that are left after all selection."""
    tests = [item.nodeid for item in session.items if uses_bench(item)]
    Path(os.environ[LISTING]).write_text(json.dumps(tests), encoding="utf-8")
