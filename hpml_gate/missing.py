"""Baselines that no test measures any more: a renamed test must not vanish in silence."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from hpml_gate.baselines import Baseline


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
        and not config.hook.pytest_gate_left_out(config=config, case_id=one.case_id)
    ]


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

    def __init__(self, *, baseline: Baseline, parent: pytest.Session) -> None:
        """Take the place of the test that recorded ``baseline``."""
        super().__init__(baseline.test.rpartition("::")[2], parent, nodeid=baseline.test)
        self._baseline = baseline

    def runtest(self) -> None:
        """Fail: what was not measured is never a pass."""
        pytest.fail(missing_message(self._baseline, "no test measures it any more"), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the file that the test was in."""
        return self.config.rootpath / self._baseline.test.partition("::")[0], None, self.name


def missing_message(baseline: Baseline, why: str) -> str:
    """Say what is missing and how to make that right."""
    return (
        f"missing: {baseline.case_id} has a baseline in {baseline.file} but {why}. "
        "Bring the test back, or retire the baseline by running with --gate record"
    )
