"""Worktrees of the gate's own: a commit, complete with its submodules and its LFS content.

Only what the gate added is ever removed: a ``git worktree prune`` would also forget the worktree of
a user whose disk is not mounted, with all that is staged there.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hpml_gate.measure.leftovers import watch
from hpml_gate.own_folders import is_abandoned, new_folder
from hpml_gate.run.repository import BaseError, Repository, git, submodules

PREFIX = "hpml-gate-base-"
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(kw_only=True)
class Worktree:
    """A commit, checked out in a temporary folder that goes when :meth:`close` is called."""

    repository: Repository
    commit: str
    folder: Path = field(init=False)  # of the worktree and of what is made beside it

    def __post_init__(self) -> None:
        """Check the commit out; no hook of the user's runs."""
        remove_abandoned(self.repository)
        self.folder = new_folder(PREFIX)
        watch(self.folder)
        try:
            git(self.repository.root, "worktree", "add", "--detach", str(self.root), self.commit)
            _fill_submodules(self.repository.root, self.root)
            _fill_lfs(self.repository.root, self.root)
        except BaseException:
            self.close()
            raise

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.folder / "tree"

    def close(self) -> None:
        """Remove the worktree."""
        _remove(self.repository, self.folder)


def remove_abandoned(repository: Repository) -> None:
    """Remove the worktrees of runs that were killed."""
    for line in git(repository.root, "worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree ")).parent
        if line.startswith("worktree ") and is_abandoned(folder, PREFIX):
            _remove(repository, folder)


def _remove(repository: Repository, folder: Path) -> None:
    """Remove a folder, then git's record of the worktree in it, which may still be locked."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(BaseError):  # it may never have been recorded
        git(repository.root, "worktree", "remove", "--force", "--force", str(folder / "tree"))


def _fill_submodules(source: Path, tree: Path) -> None:
    """Check out the submodules that the source has, from the source's own objects."""
    for path, commit in submodules(tree).items():
        if not (source / path / ".git").exists():
            continue  # the checkout under test does without it, too
        there = str(tree / path)
        git(tree, "clone", "--quiet", "--shared", "--no-checkout", str(source / path), there)
        try:
            git(tree / path, "checkout", "--quiet", "--detach", commit)
        except BaseError as error:
            raise BaseError(
                f"the base's submodule {path} cannot be checked out ({error}): fetch its commit "
                f"first (git -C {path} fetch)"
            ) from None
        _fill_submodules(source / path, tree / path)


def _fill_lfs(source: Path, tree: Path) -> None:
    """Fetch LFS content where the source has it and the worktree got only pointers."""
    lacking = _lacking_lfs(source, tree)
    if not lacking:
        return
    try:
        git(tree, "lfs", "pull")
        lacking, why = _lacking_lfs(source, tree), "git lfs pull did not bring it"
    except BaseError as error:
        why = str(error)
    if lacking:
        raise BaseError(
            f"the base's {lacking[0]} is Git LFS content that cannot be had ({why}): fetch it "
            "first (git lfs fetch, with the base commit)"
        )


def _lacking_lfs(source: Path, tree: Path) -> list[str]:
    managed = git(tree, "ls-files", "-z", ":(attr:filter=lfs)").split("\0")
    return [
        path
        for path in managed
        if path and _is_pointer(tree / path) and not _is_pointer(source / path)
    ]


def _is_pointer(file: Path) -> bool:
    """Whether a file is a pointer to LFS content, or is not there at all."""
    if not file.is_file():
        return True
    with file.open("rb") as content:
        return content.read(len(LFS_POINTER)) == LFS_POINTER
