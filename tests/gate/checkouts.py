"""Git checkouts that hold the scripted suite, and what paired runs over them leave behind."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from scripted import SPEED, SUITE, Run

Paired = Callable[..., Run]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def make_checkout(folder: Path) -> Path:
    """Make a checkout whose only commit holds the scripted suite."""
    folder.mkdir()
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "speed.py").write_text(SPEED)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / ".gitignore").write_text("results\ngate_baselines\njunit.xml\n__pycache__\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a commit", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def set_speed(folder: Path, **lines: object) -> None:
    added = "\n".join(f"{name} = {value!r}" for name, value in lines.items())
    (folder / "speed.py").write_text(f"{SPEED}\n{added}\n")


def assert_no_worktree_is_left(folder: Path) -> None:
    assert len(git(folder, "worktree", "list").splitlines()) == 1
    assert not list((folder.parent / "temporary").glob("hpml-gate-base-*"))


def assert_nothing_is_left(folder: Path) -> None:
    assert_no_worktree_is_left(folder)
    assert not list((folder.parent / "temporary").glob("*"))


def gate_json(run: Run) -> dict[str, dict[str, object]]:
    """The verdicts of the newest run, by case and metric."""
    newest = max(run.folder.glob("results/*/gate.json"))
    return {
        f"{case['case_id'].rpartition('::')[2]} {verdict['metric']}": verdict
        for case in json.loads(newest.read_text())["cases"]
        for verdict in case["verdicts"]
    }
