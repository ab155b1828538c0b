"""The hooks that a suite may implement in its conftest."""

from pathlib import Path

import pytest


@pytest.hookspec(firstresult=True)
def pytest_gate_left_out(config: pytest.Config, case_id: str) -> bool | None:
    """Say whether this run's own options left a case out, so that its baseline is not missed."""


def pytest_gate_results(config: pytest.Config, folder: Path) -> None:
    """Add the suite's own files to the folder of this run's results."""
