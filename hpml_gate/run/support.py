"""Whether the gate can measure here at all. Light: it is asked before anything is loaded."""

from importlib.util import find_spec

import pytest

PYTEST_BENCHMARK = ("benchmark", "pytest_benchmark.plugin")  # installed; named by -p


def why_not_here(config: pytest.Config) -> str:
    """Return why nothing can be measured in this pytest, and what would help; nothing if it can."""
    if find_spec("resource") is None:
        return "it needs Linux or macOS: this system counts no process's time (module resource)"
    if not any(config.pluginmanager.hasplugin(name) for name in PYTEST_BENCHMARK):
        return (
            "it builds on pytest-benchmark, which is not loaded: install it, or leave out "
            "-p no:benchmark"
        )
    return ""
