"""What was measured once and is no more: a renamed test must not vanish in silence."""

import json
import os
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from hpml_gate.baselines.store import Baseline
from hpml_gate.measure.environment import outside_hooks
from hpml_gate.run.checkout import Base
from hpml_gate.run.listing import LISTING
from hpml_gate.run.repository import BaseError
from hpml_gate.run.session import GateSession

COLLECT_S = 300


def find_missing(
    config: pytest.Config, baselines: Iterable[Baseline], known_tests: Collection[str]
) -> list[Baseline]:
    """Return the baselines in this run's scope whose test neither runs nor was deselected.

    The scope is what the command line names. A case that the run's options left out is not
    missing; the suite says so through ``pytest_gate_left_out``.
    """
    return [
        one
        for one in baselines
        if one.test not in known_tests
        and _is_in_scope(config, one.test)
        and not is_left_out(config, one.test)
        and not config.hook.pytest_gate_left_out(config=config, case_id=one.case_id)
    ]


def is_left_out(config: pytest.Config, test: str) -> bool:
    """Say whether an option of pytest's own keeps a test from being collected at all."""
    if config.getoption("lf", default=False):
        return True
    path = config.rootpath / test.partition("::")[0]
    ignored = [config.invocation_params.dir / one for one in config.getoption("ignore") or ()]
    patterns = config.getoption("ignore_glob") or ()
    return any(path.is_relative_to(one.resolve()) for one in ignored) or any(
        fnmatch(str(path), str(config.invocation_params.dir / one)) for one in patterns
    )


def _is_in_scope(config: pytest.Config, test: str) -> bool:
    path, _, name = test.partition("::")
    return any(
        _covers(config.invocation_params.dir, argument, config.rootpath / path, name)
        for argument in config.args
    )


def _covers(folder: Path, argument: str, path: Path, name: str) -> bool:
    wanted_path, _, wanted_name = argument.partition("::")
    wanted = (folder / wanted_path).resolve()
    if wanted_name:
        return wanted == path.resolve() and name == wanted_name
    return wanted == path.resolve() or wanted in path.resolve().parents


class MissingItem(pytest.Item):
    """Stands where the missing test stood, and fails in its name."""

    def __init__(self, *, test: str, why: str, parent: pytest.Session) -> None:
        """Take the place of ``test``, a node id; ``why`` is what it fails with."""
        super().__init__(test.rpartition("::")[2], parent, nodeid=test)
        self._why = why

    def runtest(self) -> None:
        """Fail: what was not measured is never a pass."""
        pytest.fail(self._why, pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the file that the test was in."""
        return self.config.rootpath / self.nodeid.partition("::")[0], None, self.name


def missing_message(baseline: Baseline, why: str) -> str:
    """Say what is missing and how to make that right."""
    return (
        f"missing: {baseline.case_id} has a baseline in {baseline.file} but {why}. "
        "Bring the test back, or retire the baseline by running with --gate record"
    )


def find_missing_of_base(gate: GateSession, known_tests: Collection[str]) -> dict[str, str]:
    """Return the tests that the base measures and this run does not know, each with why it fails.

    Where the base's tests cannot all be collected, the run's notes say so.
    """
    base = gate.bases.base(gate.base_commit)
    tests, gate.base_problem = _tests_of(base, gate)
    retired, repository = gate.settings.retired, gate.bases.repository
    if base.commit == repository.commit("HEAD") and not repository.changed_files():
        gate.notes.append("the base is what is checked out: the same is compared with the same")
    gate.base_tests = [one for one in tests if not any(fnmatch(one, two) for two in retired)]
    if gate.base_problem:
        gate.notes.append(
            f"the base's tests cannot all be collected, so some may be missing: {gate.base_problem}"
        )
    return {
        test: (
            f"missing: {test} is measured at the base {base.commit[:12]} but no test measures it "
            "any more. Bring the test back, or add it to gate_retired in the ini file"
        )
        for test in gate.base_tests
        if test not in known_tests and not is_left_out(gate.config, test)
    }


def _tests_of(base: Base, gate: GateSession) -> tuple[list[str], str]:
    """Collect the base's own tests with this run's arguments, in a process of its own."""
    try:
        side = gate.bases.side(base.commit)
    except BaseError as error:
        return [], str(error)
    here = gate.config.invocation_params.dir
    arguments = [_there(str(one), here, base) for one in gate.config.invocation_params.args]
    with tempfile.NamedTemporaryFile("r", suffix=".json", encoding="utf-8") as listing:
        command = [side.python, "-m", "pytest", "-p", "hpml_gate.run.listing", *arguments]
        try:
            done = subprocess.run(  # noqa: S603
                [*command, "--collect-only", "-q"],
                cwd=base.there(here),
                env={**outside_hooks(os.environ), "PYTHONPATH": os.pathsep.join(side.path),
                     LISTING: listing.name},
                capture_output=True,
                text=True,
                check=False,
                timeout=COLLECT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return [], f"it took more than {COLLECT_S} s"
        tests: list[str] = json.loads(listing.read() or "[]")
    complete = done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return tests, "" if complete else " ".join((done.stderr or done.stdout).split())[-300:]


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
