"""A plain test, gated: pytest runs it in launches alone, and what they report are its reports."""

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """How this run was started: its arguments, its working folder and its variables."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, config: pytest.Config) -> "Invocation":
        """Read it before a conftest can change the variables: each launch reads conftests anew."""
        arguments = [str(one) for one in config.invocation_params.args]
        return cls(
            arguments=tuple(arguments),
            folder=config.invocation_params.dir,
            environment=dict(os.environ),
        )


@dataclass(frozen=True, kw_only=True)
class TestRequest:
    """What a launch is asked to run: one test, under the run's own options."""

    file: Path
    name: str  # the node id, without its file
    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    answers: str = "hpml_gate.launched_test"
    is_test: bool = True
    kept: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)  # by side

    def packed(self, moved: Callable[[Path], Path]) -> bytes:
        """Return what to run, for a side that has a path's files at ``moved(path)``."""
        arguments = tuple(_moved(one, moved) for one in self.arguments)
        return pickle.dumps((arguments, str(moved(self.file)), self.name))

    def keep(self, side: str, ended: Mapping[str, Any]) -> None:
        """Keep what a launch left on a side: its reports, what the test told pytest-benchmark."""
        self.kept.setdefault(side, []).append(ended)


def request_of(item: pytest.Item, invocation: Invocation) -> TestRequest:
    """Return the request for an item of this run."""
    file, _, name = item.nodeid.partition("::")
    return TestRequest(
        file=item.config.rootpath / file,
        name=name,
        arguments=(*invocation.arguments, *_added(item.config)),
        folder=invocation.folder,
        environment=invocation.environment,
    )


def _added(config: pytest.Config) -> list[str]:
    """Return the arguments that keep a launch off what is the run's alone."""
    added = []
    if config.pluginmanager.hasplugin("_cov") or config.pluginmanager.hasplugin("pytest_cov"):
        added.append("--no-cov")
    if seed := config.getoption("randomly_seed", default=None):
        added.append(f"--randomly-seed={seed}")
    return added


def _moved(argument: str, moved: Callable[[Path], Path]) -> str:
    """Let an absolute path in an argument mean the same file on another side."""
    option, equals, value = argument.rpartition("=")
    path, colons, name = value.partition("::")
    if not Path(path).is_absolute() or not Path(path).exists():
        return argument
    return f"{option}{equals}{moved(Path(path))}{colons}{name}"


def reports_of(item: pytest.Item, ended: Mapping[str, Any]) -> list[pytest.TestReport]:
    """Return the reports of a launch as this run's own."""
    hook = item.config.hook
    made = [
        hook.pytest_report_from_serializable(config=item.config, data=data)
        for data in ended["reports"]
    ]
    for report in made:
        report.nodeid, report.location = item.nodeid, item.location
    return made


def failed_reports(item: pytest.Item, why: str) -> list[pytest.TestReport]:
    """Return the reports of a test that no launch could report on: its call failed."""
    return [
        pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords=dict.fromkeys(item.keywords, 1),
            outcome="failed" if when == "call" else "passed",
            longrepr=why if when == "call" else None,
            when=when,
        )
        for when in ("setup", "call", "teardown")
    ]
