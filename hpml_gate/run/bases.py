"""All checkouts of a run, and the side that launches take from each."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hpml_gate.measure.launch import LaunchError, Side
from hpml_gate.measure.origins import Code
from hpml_gate.run.checkout import Base
from hpml_gate.run.project import Project
from hpml_gate.run.repository import BaseError, Repository


@dataclass(kw_only=True)
class Bases:
    """The checkouts of a run; each is made once, and all go with :meth:`close`."""

    folder: Path  # of the project, in the checkout under test
    install: str
    _made: dict[str, Base] = field(default_factory=dict)  # by commit
    _head: Base | None = None  # where the head had to be built
    _unusable: dict[str, BaseError] = field(default_factory=dict)
    _codes: dict[str, Code] = field(default_factory=dict)  # by side, of the newest of each

    @cached_property
    def repository(self) -> Repository:
        """The checkout under test; raises :class:`BaseError` if it is none."""
        return Repository.around(self.folder)

    @cached_property
    def _project(self) -> Project:
        return Project(repository=self.repository, folder=self.folder, install=self.install)

    def problem_with(self, commit: str) -> str:
        """Return why a commit cannot be a base here; nothing if it can."""
        try:
            self.repository.commit(commit)
        except BaseError as error:
            return str(error)
        return ""

    def base(self, commit: str) -> Base:
        """Return a commit's checkout."""
        if commit not in self._made:
            built = self._project.built_module()
            why = f"the head imported {built}, which git does not know" if built else ""
            self._made[commit] = Base(project=self._project, commit=commit, why_built=why)
        return self._made[commit]

    def side(self, commit: str) -> Side:
        """Return how launches find a commit's code; what failed once is not tried again."""
        if commit in self._unusable:
            raise self._unusable[commit]
        try:
            return self._noted(self.base(commit).side)
        except BaseError as error:
            self._unusable[commit] = error
            raise

    @property
    def head(self) -> Side:
        """How launches find the code under test: as this process does, or built like a base."""
        return self._noted(self._head.side if self._head else self._plain_head)

    @property
    def origins(self) -> dict[str, dict[str, str]]:
        """Return where the project's modules came from, by side."""
        return {name: code.origins for name, code in self._codes.items()}

    def _noted(self, side: Side) -> Side:
        if side.code:
            self._codes[side.name] = side.code
        return side

    @cached_property
    def _plain_head(self) -> Side:
        folders = [base.root for base in self._made.values()]
        return Side(code=self._project.code(self.repository.root, None, *folders))

    def builds(self, error: LaunchError, commit: str) -> bool:
        """Whether the side whose code could not be proved is now built, so that one may try again.

        Raises :class:`BaseError` if that side was built already, or cannot be.
        """
        if error.status != "stray":
            return False
        why = f"it {error}"
        if error.side == "base" and not self.base(commit).why_built:
            self.base(commit).why_built = why
        elif error.side == "head" and self._head is None:
            self._head = self._checkout_of_head(why)
        else:
            raise BaseError(f"the {error.side} {error}, although it was built for this run")
        return True

    def _checkout_of_head(self, why: str) -> Base:
        return Base(
            project=self._project,
            commit=self.repository.commit("HEAD"),
            name="head",
            has_changes=True,
            why_built=why,
        )

    def close(self) -> None:
        """Remove all worktrees."""
        for base in [*self._made.values(), *([self._head] if self._head else [])]:
            base.close()
        self._made.clear()
        self._head = None
