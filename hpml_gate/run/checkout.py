"""The base commit: a worktree of its own, and how fresh processes find its code.

The gate itself is the same on both sides: it measures, so it must not differ between what it
compares. All else comes from the worktree, and a worker that imports anything from the checkout
under test is an error.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hpml_gate.measure.launch import Side

PREFIX = "hpml-gate-base-"
DEPENDENCY_FILES = ("requirements*.txt", "constraints*.txt", "setup.py", "setup.cfg", "*.lock")
INSTALL_S = 1800


class BaseError(Exception):
    """There is no such base, or none can be made here; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The checkout under test."""

    root: Path

    @classmethod
    def around(cls, folder: Path) -> "Repository":
        """Find the repository that ``folder`` lies in."""
        try:
            return cls(root=Path(_git(folder, "rev-parse", "--show-toplevel")).resolve())
        except (BaseError, FileNotFoundError):
            raise BaseError(
                f"{folder} lies in no git checkout, so there is no base commit to compare with"
            ) from None

    def commit(self, ref: str) -> str:
        """Return the full name of a commit."""
        try:
            return _git(self.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        except BaseError:
            raise BaseError(self._why_unknown(ref)) from None

    def changed_files(self) -> list[str]:
        """Return the files that differ from the commit that is checked out."""
        return _git(self.root, "status", "--porcelain", "--untracked-files=no").splitlines()

    def _why_unknown(self, ref: str) -> str:
        if _git(self.root, "rev-parse", "--is-shallow-repository") == "true":
            return (
                f"no commit {ref!r} in this shallow clone: fetch the history first "
                "(git fetch --unshallow; in CI, a checkout of full depth)"
            )
        return f"no commit {ref!r} in {self.root}: name a branch, tag or commit that git knows"


@dataclass(kw_only=True)
class Base:
    """A base commit, checked out in a folder that goes when :meth:`close` is called."""

    repository: Repository
    project: Path  # the folder of the checkout under test that declares its dependencies
    commit: str
    install: str  # how its environment is made, if it needs one: arguments of its python
    _folder: Path = field(init=False)

    def __post_init__(self) -> None:
        """Check the commit out."""
        _sweep(self.repository)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
        try:
            _git(self.repository.root, "worktree", "add", "--detach", str(self.root), self.commit)
            self._check_interpreter()
            gate = self._folder / "gate"
            gate.mkdir()
            (gate / "hpml_gate").symlink_to(Path(__file__).parent.parent)
        except BaseException:
            self.close()
            raise

    @property
    def root(self) -> Path:
        """The worktree."""
        return self._folder / "tree"

    @cached_property
    def side(self) -> Side:
        """How a worker finds the base's code; makes its environment first, if it needs one."""
        own = self._own_interpreter() if self.needs_environment else None
        return Side(
            name="base",
            python=own or sys.executable,
            path=self.path(alone=own is not None),
            has_own_packages=own is not None,
            moved=self.there,
            root=str(self._folder),
            foreign=str(self.repository.root) + os.sep,
        )

    @property
    def needs_environment(self) -> bool:
        """Whether base and head declare different dependencies."""
        return _dependencies(self.there(self.project)) != _dependencies(self.project)

    def path(self, *, alone: bool) -> list[str]:
        """Return this process's ``sys.path`` as the base would have it.

        Left ``alone`` with an environment of its own, it gets nothing from outside the checkout.
        """
        mapped = [self._mapped(entry) for entry in sys.path if not alone or self._is_ours(entry)]
        own = [str(self._folder / "gate"), str(self.root)]
        return [*own, *dict.fromkeys(entry for entry in mapped if entry is not None)]

    def there(self, path: Path) -> Path:
        """Return where the base has what the checkout has at ``path``."""
        path = path.resolve()
        if not path.is_relative_to(self.repository.root):
            return path
        moved = self.moved(path)
        return moved if moved.exists() else self.root

    def moved(self, path: Path) -> Path:
        """Return where a resolved path of the checkout would be in the worktree."""
        return self.root / path.relative_to(self.repository.root)

    def close(self) -> None:
        """Remove the worktree; one that could not be finished is still locked."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(BaseError):
            _git(self.repository.root, "worktree", "unlock", str(self.root))
        with suppress(BaseError):
            _git(self.repository.root, "worktree", "prune")

    def _mapped(self, entry: str) -> str | None:
        """Move a path entry into the worktree; one that the base has not is left out."""
        path = Path(entry).resolve()
        if not self._is_ours(entry):
            return str(path)
        moved = self.moved(path)
        return str(moved) if moved.exists() else None

    def _is_ours(self, entry: str) -> bool:
        """Say whether a path entry is code of the checkout, not an environment that lies in it."""
        inside = Path(entry).resolve().is_relative_to(self.repository.root)
        return inside and not _is_installed(entry)

    def _check_interpreter(self) -> None:
        wanted = _project(self.there(self.project)).get("requires-python", "")
        running = ".".join(map(str, sys.version_info[:3]))
        try:
            fits = SpecifierSet(wanted).contains(running, prereleases=True)
        except InvalidSpecifier as error:
            raise BaseError(f"base {self.commit[:12]}: requires-python: {error}") from None
        if not fits:
            raise BaseError(
                f"base {self.commit[:12]} requires Python {wanted}, this is {running}: times of "
                "different interpreters are not compared. Run with an interpreter that both support"
            )

    def _own_interpreter(self) -> str:
        python = self._folder / "venv" / "bin" / "python"
        self._run([sys.executable, "-m", "venv", str(python.parent.parent)])
        self._run([str(python), *shlex.split(self.install)])
        return str(python)

    def _run(self, command: Sequence[str]) -> None:
        why = (
            f"the environment of base {self.commit[:12]}, whose dependencies differ, cannot be "
            f"made: {shlex.join(command)} (ini: gate_base_install)"
        )
        try:
            done = subprocess.run(  # noqa: S603  the user's own command
                command,
                cwd=self.there(self.project),
                capture_output=True,
                text=True,
                check=False,
                timeout=INSTALL_S,
            )
        except subprocess.TimeoutExpired:
            raise BaseError(f"{why} took more than {INSTALL_S} s") from None
        if done.returncode:
            said = (done.stdout + done.stderr)[-2000:]
            raise BaseError(f"{why} ended with status {done.returncode}: {said}")


@dataclass(kw_only=True)
class Bases:
    """The base commits of a run; each is checked out once, and all go with :meth:`close`."""

    folder: Path  # of the project, in the checkout under test
    install: str
    _made: dict[str, Base] = field(default_factory=dict)
    _unusable: dict[str, BaseError] = field(default_factory=dict)

    @cached_property
    def repository(self) -> Repository:
        """The checkout under test; raises :class:`BaseError` if it is none."""
        return Repository.around(self.folder)

    def problem_with(self, commit: str) -> str:
        """Say why a commit cannot be a base here; nothing if it can."""
        try:
            self.repository.commit(commit)
        except BaseError as error:
            return str(error)
        return ""

    def base(self, commit: str) -> Base:
        """Return a commit's checkout."""
        if commit not in self._made:
            self._made[commit] = Base(
                repository=self.repository,
                project=self.folder,
                commit=commit,
                install=self.install,
            )
        return self._made[commit]

    def side(self, commit: str) -> Side:
        """Return how workers find a commit's code; what failed once is not tried again."""
        if commit in self._unusable:
            raise self._unusable[commit]
        try:
            return self.base(commit).side
        except BaseError as error:
            self._unusable[commit] = error
            raise

    def close(self) -> None:
        """Remove all worktrees."""
        for base in self._made.values():
            base.close()
        self._made.clear()


def _is_installed(entry: str) -> bool:
    """Say whether a path entry is of this interpreter or of its environment."""
    path = Path(entry).resolve()
    homes = (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    return any(path.is_relative_to(home) for home in homes)


def _tables(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        return {}


def _project(root: Path) -> dict[str, Any]:
    project: dict[str, Any] = _tables(root).get("project", {})
    return project


def _dependencies(root: Path) -> dict[str, Any]:
    """Return what decides on the packages that a checkout runs with."""
    keys = ("dependencies", "optional-dependencies", "requires-python")
    declared = {key: _project(root).get(key) for key in keys}
    declared["dependency-groups"] = _tables(root).get("dependency-groups")
    files = {file.name: file.read_bytes() for one in DEPENDENCY_FILES for file in root.glob(one)}
    return {**declared, **files}


def _sweep(repository: Repository) -> None:
    """Remove the worktrees of runs that were killed: their folders carry their process's number."""
    listed = _git(repository.root, "worktree", "list", "--porcelain").splitlines()
    for line in listed:
        folder = Path(line.removeprefix("worktree ")).parent
        if line.startswith("worktree ") and folder.name.startswith(PREFIX):
            pid = folder.name.removeprefix(PREFIX).partition("-")[0]
            if not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)
    _git(repository.root, "worktree", "prune")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607  the user's own git
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BaseError(f"git {shlex.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()
