"""One side of a paired run: a commit in a worktree, and how a launch finds its code.

The gate itself is the same on both sides: it measures, so it must not differ between what it
compares. All else comes from the worktree, or from an environment that was built of it.
"""

import shutil
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hpml_gate.measure.launch import Side
from hpml_gate.run.dependencies import check_interpreter, dependencies
from hpml_gate.run.own_environment import added_by_sites, is_installed, is_site, make_environment
from hpml_gate.run.project import Project
from hpml_gate.run.repository import git
from hpml_gate.run.worktree import Worktree

GATE = Path(__file__).parent.parent


@dataclass(kw_only=True)
class Base:
    """A commit, checked out beside the checkout under test; it goes with :meth:`close`."""

    project: Project
    commit: str
    name: str = "base"
    has_changes: bool = False  # those that are not committed, copied from the checkout under test
    why_built: str = ""  # why it must be built, whatever it declares; nothing if it need not
    _worktree: Worktree = field(init=False)

    def __post_init__(self) -> None:
        """Check the commit out."""
        self._worktree = Worktree(repository=self.project.repository, commit=self.commit)
        try:
            if self.has_changes:
                _copy_changes(self.project.repository.root, self.root)
            check_interpreter(self.there(self.project.folder), self._title)
            gate = self._worktree.folder / "gate"
            gate.mkdir()
            (gate / GATE.name).symlink_to(GATE)
        except BaseException:
            self.close()
            raise

    @property
    def root(self) -> Path:
        """The worktree."""
        return self._worktree.root

    @property
    def side(self) -> Side:
        """How a launch finds this code; builds it first where that is needed."""
        return self._built if self.why_built or self.needs_environment else self._unbuilt

    @cached_property
    def needs_environment(self) -> bool:
        """Whether this commit and the checkout under test declare different dependencies."""
        return dependencies(self.there(self.project.folder)) != dependencies(self.project.folder)

    @cached_property
    def _unbuilt(self) -> Side:
        return self._side(sys.executable, self.path(), None)

    @cached_property
    def _built(self) -> Side:
        environment = self._worktree.folder / "venv"
        python = make_environment(
            environment,
            project=self.there(self.project.folder),
            install=self.project.install,
            path=[entry for entry in sys.path if not self._is_ours(entry)],
            name=f"{self._title} ({self.why_built or 'its dependencies differ'})",
        )
        return self._side(python, self.path_when_built(), environment)

    def _side(self, python: str, path: list[str], environment: Path | None) -> Side:
        return Side(
            name=self.name,
            python=python,
            path=path,
            has_own_packages=environment is not None,
            moved=self.there,
            code=self.project.code(self.root, environment),
        )

    @property
    def _title(self) -> str:
        return f"{self.name} {self.commit[:12]}"

    def path(self) -> list[str]:
        """Return this process's ``sys.path`` as this checkout would have it.

        Where the project's code is found otherwise (installed, or by an editable install's finder),
        the folder that it is imported from comes before the installed packages.
        """
        mapped = [moved for entry in sys.path if (moved := self._mapped(entry))]
        sites = [index for index, entry in enumerate(mapped) if is_site(entry)]
        cut = sites[0] if sites else len(mapped)
        roots = [str(self.root / root) for root in [*self.project.roots, "."]]
        return [*dict.fromkeys([self._gate, *mapped[:cut], *roots, *mapped[cut:]])]

    def path_when_built(self) -> list[str]:
        """Return what of ``sys.path`` is this checkout's; the rest is its environment's."""
        editable = added_by_sites(sys.path)
        ours = [entry for entry in sys.path if self._is_ours(entry)]
        own = [self._mapped(entry) for entry in ours if str(Path(entry).resolve()) not in editable]
        return [*dict.fromkeys([self._gate, *(entry for entry in own if entry)])]

    @property
    def _gate(self) -> str:
        return str(self._worktree.folder / "gate")

    def there(self, path: Path) -> Path:
        """Return where this commit has what the checkout under test has at ``path``."""
        path = path.resolve()
        if not path.is_relative_to(self.project.repository.root):
            return path
        moved = self.moved(path)
        return moved if moved.exists() else self.root

    def moved(self, path: Path) -> Path:
        """Return where a resolved path of the checkout under test would be in the worktree."""
        return self.root / path.relative_to(self.project.repository.root)

    def close(self) -> None:
        """Remove the worktree."""
        self._worktree.close()

    def _mapped(self, entry: str) -> str | None:
        """Move a path entry into the worktree; one that the commit has not is left out."""
        path = Path(entry).resolve()
        if not self._is_ours(entry):
            return str(path)
        moved = self.moved(path)
        return str(moved) if moved.exists() else None

    def _is_ours(self, entry: str) -> bool:
        """Whether a path entry is code of the checkout, not an environment that lies in it."""
        inside = Path(entry).resolve().is_relative_to(self.project.repository.root)
        return inside and not is_installed(entry)


def _copy_changes(source: Path, tree: Path) -> None:
    """Bring what is not committed, but not ignored either, from a checkout to its worktree."""
    status = ["status", "--porcelain", "--no-renames", "-z", "--untracked-files=all"]
    for entry in git(source, *status).split("\0"):
        path = entry[3:]
        if not path or (source / path).is_dir():  # a submodule's own changes stay its own
            continue
        (tree / path).unlink(missing_ok=True)
        if (source / path).exists():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / path, tree / path, follow_symlinks=False)
