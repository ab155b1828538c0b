"""Wiring for runs whose processes a launcher has started, on one machine or many."""

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

from hpml_gate.baselines.fingerprint import take
from hpml_gate.measure.environment import quiet_environment
from hpml_gate.run.settings import Settings
from hpml_models.worlds.launcher import (
    Ending,
    LaunchedRank,
    LauncherError,
    Leader,
    follow,
    launched_rank,
)

LEADER = pytest.StashKey[Leader]()


def launched_here() -> LaunchedRank | None:
    """Return what a launcher has told this process; half of it is an error of usage."""
    try:
        return launched_rank(os.environ)
    except LauncherError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Let every rank but the first follow that one: it runs no test and writes nothing."""
    if (rank := launched_here()) is None:
        return None
    if config.getoption("gate") in ("paired", "self-test"):
        raise pytest.UsageError(
            "--gate paired and self-test compare what is started here: other machines have no "
            "worktree of the base. Start pytest without a launcher"
        )
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("-n: a launcher's ranks are one run, it cannot be shared out")
    return _follow(config, rank) if rank.rank else None


def _follow(config: pytest.Config, launched: LaunchedRank) -> int:
    os.environ.update(quiet_environment(None))  # as rank 0's own launches have it
    machine = config.hook.pytest_benchmark_generate_machine_info(config=config)
    try:
        ending = follow(launched, take(machine, Settings.of(config).packages).id)
    except LauncherError as error:
        ending = Ending(pytest.ExitCode.TESTS_FAILED, str(error))
    except KeyboardInterrupt:
        ending = Ending(pytest.ExitCode.INTERRUPTED, "interrupted")
    if ending.status:
        sys.stderr.write(
            f"rank {launched.rank} ends, exit status {ending.status}: {ending.reason}\n"
        )
    return ending.status


def pytest_sessionstart(session: pytest.Session) -> None:
    """Meet the others before anything is collected: cases are named by where they run."""
    if (rank := launched_here()) is None:
        return
    try:
        session.config.stash[LEADER] = Leader(rank)
    except LauncherError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say where the ranks are."""
    if LEADER not in config.stash:
        return None
    leader = config.stash[LEADER]
    return f"launched: {len(leader.rank_hosts)} ranks on {', '.join(leader.hosts)}"


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    """Make the other ranks' machines a part of what baselines are kept for."""
    if LEADER in config.stash:
        machine_info["machines"] = config.stash[LEADER].machines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the run after a test during which a rank was lost."""
    result = yield
    if LEADER in item.config.stash and (loss := item.config.stash[LEADER].loss()):
        item.session.shouldfail = loss
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Let the others end as this run does."""
    try:
        yield
    finally:
        if LEADER in session.config.stash:
            _end(session, session.config.stash[LEADER])


def _end(session: pytest.Session, leader: Leader) -> None:
    if (loss := leader.loss()) and not session.exitstatus:
        sys.stderr.write(f"\n{loss}\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    leader.end(Ending(int(session.exitstatus), loss or _first_failure(session)))


def _first_failure(session: pytest.Session) -> str:
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    failed = [*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())]
    return f"{failed[0].nodeid}: {failed[0].longreprtext.splitlines()[0]}" if failed else "rank 0"
