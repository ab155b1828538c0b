"""The user's git repository: asked, and otherwise left as it is.

No hook runs, no index is refreshed, and no variable of a hook that pytest may run in (``GIT_DIR``,
``GIT_INDEX_FILE``...) reaches git: it would act on another repository than the folder's.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hpml_gate.measure.environment import outside_hooks

SUBMODULE = "160000"  # the mode of a submodule's entry in a tree
LEAVE_ALONE = (
    "--no-optional-locks",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.fsmonitor=false",
)


class BaseError(Exception):
    """There is no such base, or none can be made here; the message says what to do."""


def git(folder: Path, *arguments: str) -> str:
    """Return what git answers in a folder; raises :class:`BaseError` with git's own message."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *LEAVE_ALONE, *arguments],  # noqa: S607  the user's own git
            cwd=folder,
            env=outside_hooks(os.environ),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # a file may have any name
            check=False,
        )
    except FileNotFoundError:
        raise BaseError(
            "git is not installed, so there is no base commit to compare with"
        ) from None
    if done.returncode:
        raise BaseError(f"git {shlex.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip("\n")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The checkout under test."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> "Repository":
        """Find the repository that ``folder`` lies in."""
        try:
            return cls(root=Path(git(folder, "rev-parse", "--show-toplevel")).resolve())
        except BaseError as error:
            if "not a git repository" not in str(error):
                raise BaseError(
                    f"{folder} cannot be compared with a base commit: {error}"
                ) from None
            raise BaseError(
                f"{folder} lies in no git checkout, so there is no base commit to compare with "
                f"({error})"
            ) from None

    def commit(self, ref: str) -> str:
        """Return the full name of a commit."""
        wanted = f"{ref}^{{commit}}"
        try:
            return git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
        except BaseError:
            raise BaseError(self._why_unknown(ref)) from None

    def changed_files(self) -> list[str]:
        """Return the files that differ from the commit that is checked out."""
        return git(self.root, "status", "--porcelain", "--untracked-files=no").splitlines()

    def _why_unknown(self, ref: str) -> str:
        if git(self.root, "rev-parse", "--is-shallow-repository") == "true":
            return (
                f"no commit {ref!r} in this shallow clone: fetch the history first "
                "(git fetch --unshallow; in CI, a checkout of full depth)"
            )
        return f"no commit {ref!r} in {self.root}: name a branch, tag or commit that git knows"


def submodules(tree: Path) -> dict[str, str]:
    """Return the commit of each submodule of a checkout, by its path."""
    return {path: commit for mode, commit, path in _entries(tree) if mode == SUBMODULE}


def tracked_files(tree: Path) -> Iterator[str]:
    """Yield the files that git knows in a checkout and in its submodules, relative to it."""
    for mode, _, path in _entries(tree):
        if mode != SUBMODULE:
            yield path
        elif (tree / path / ".git").exists():
            yield from (f"{path}/{inner}" for inner in tracked_files(tree / path))


def _entries(tree: Path) -> Iterator[tuple[str, str, str]]:
    """Yield mode, object and path of each file of the index."""
    for entry in git(tree, "ls-files", "--stage", "-z").split("\0"):
        if entry:
            facts, _, path = entry.partition("\t")
            mode, made, _ = facts.split()
            yield mode, made, path
