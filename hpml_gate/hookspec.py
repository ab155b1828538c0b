"""The hooks that a suite may implement in its conftest."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hpml_gate.record import Description, Run


@pytest.hookspec(firstresult=True)
def pytest_gate_left_out(
    config: pytest.Config, case_id: str, axes: Mapping[str, Any]
) -> bool | None:
    """Return whether this run's own options left a case out, so that its baseline is not missed.

    ``axes`` are the fields that :func:`pytest_gate_describe` gave when the case was recorded.
    """


@pytest.hookspec(firstresult=True)
def pytest_gate_describe(item: pytest.Item) -> "Description | None":
    """Return what a test measures, as fields for the record; by default, its parameters."""


def pytest_gate_results(config: pytest.Config, run: "Run", folder: Path) -> None:
    """Add the suite's own files to the folder of this run's results."""
