"""What was measured once and is no more: a renamed test must not vanish in silence."""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

from hpml_gate.baselines.store import Baseline
from hpml_gate.run import base_tests
from hpml_gate.run.repository import BaseError
from hpml_gate.run.selection import Selection
from hpml_gate.run.session import GateSession

GONE = "no test measures it any more"


def find_missing(
    config: pytest.Config, baselines: Iterable[Baseline], known_tests: Collection[str]
) -> list[Baseline]:
    """Return the baselines in this run's scope whose test neither runs nor was deselected.

    The scope is what the command line names. A case that the run's options left out is not
    missing; the suite says so through ``pytest_gate_left_out``.
    """
    selection = Selection.of(config)
    return [
        one
        for one in baselines
        if one.test not in known_tests
        and selection.asks_for(one.test)
        and not config.hook.pytest_gate_left_out(config=config, case_id=one.case_id, axes=one.axes)
    ]


def why_uncollected(test: str, uncollected: Mapping[str, str]) -> str:
    """Return why the file or folder of a test could not be collected; nothing if it could.

    ``uncollected`` are reasons by node id.
    """
    above = (
        why
        for node, why in uncollected.items()
        if test == node or test.startswith((f"{node}::", f"{node}/"))
    )
    return next(above, "")


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
    retired, repository = gate.settings.retired, gate.bases.repository
    if base.commit == repository.commit("HEAD") and not repository.changed_files():
        gate.notes.append(
            "the base is what is checked out, so nothing can differ: name another with --gate-base"
        )
    try:
        side = gate.bases.side(base.commit)
        tests, gate.base_problem = base_tests.collect(base, side, gate.config)
    except BaseError as error:
        tests, gate.base_problem = [], str(error)
    gate.base_tests = [one for one in tests if not any(fnmatch(one, two) for two in retired)]
    if gate.base_problem:
        gate.notes.append(
            f"the base's tests cannot all be collected, so some may be missing: {gate.base_problem}"
        )
    selection = Selection.of(gate.config)
    return {
        test: (
            f"missing: {test} is measured at the base {base.commit[:12]} but {GONE}. Bring the "
            "test back, or add it to gate_retired in the ini file"
        )
        for test in gate.base_tests
        if test not in known_tests and not selection.leaves_out(test)
    }
