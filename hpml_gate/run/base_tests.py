"""Which tests a base commit measures: they are collected there, by this run's command line."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from hpml_gate.measure.environment import outside_hooks
from hpml_gate.measure.launch import Side
from hpml_gate.run.checkout import Base
from hpml_gate.run.listing import LISTING

COLLECT_S = 300


def collect(base: Base, side: Side, config: pytest.Config) -> tuple[list[str], str]:
    """Return the node ids of the base's tests that measure, and why they may not be all.

    What the command line names and the base does not have yet is left out. Where that is all of
    it, the base has no test.
    """
    here = config.invocation_params.dir
    named = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    lacking = {one for one in named if _is_lacking(one, here, base)}
    if named and lacking.issuperset(named):
        return [], ""
    given = map(str, config.invocation_params.args)
    arguments = [_there(one, here, base) for one in given if one not in lacking]
    with tempfile.NamedTemporaryFile("r", suffix=".json", encoding="utf-8") as listing:
        command = [side.python, "-m", "pytest", "-p", "hpml_gate.run.listing", *arguments]
        path = {"PYTHONPATH": os.pathsep.join(side.path), LISTING: listing.name}
        try:
            done = subprocess.run(  # noqa: S603
                [*command, "--collect-only", "-q"],
                cwd=base.there(here),
                env={**outside_hooks(os.environ), **path},
                capture_output=True,
                text=True,
                check=False,
                timeout=COLLECT_S,
            )
        except subprocess.TimeoutExpired:
            return [], f"it took more than {COLLECT_S} s"
        tests: list[str] = json.loads(listing.read() or "[]")
    complete = done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return tests, "" if complete else " ".join((done.stderr or done.stdout).split())[-300:]


def _is_lacking(argument: str, here: Path, base: Base) -> bool:
    """Whether an argument names a file or folder of the checkout that the base does not have."""
    target = (here / argument.partition("::")[0]).resolve()
    is_ours = target.exists() and target.is_relative_to(base.project.repository.root)
    return is_ours and not base.moved(target).exists()


def _there(argument: str, here: Path, base: Base) -> str:
    """Let a path in an argument mean the base's own, and one outside the checkout the same."""
    option, equals, value = argument.rpartition("=")
    path, colons, name = value.partition("::")
    if os.sep not in path or not (here / path).exists():
        return argument
    target = (here / path).resolve()
    if target.is_relative_to(base.project.repository.root):
        target = base.moved(target)
    return f"{option}{equals}{target}{colons}{name}"
