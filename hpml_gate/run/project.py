"""The code under test, as git and this process know it."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hpml_gate.measure.origins import Code, Question, project_modules
from hpml_gate.run.import_names import import_names, modules_of
from hpml_gate.run.repository import Repository, git, tracked_files


@dataclass(frozen=True, kw_only=True)
class Project:
    """The code under test, as git and this process know it."""

    repository: Repository
    folder: Path  # of the checkout under test, where the dependencies are declared
    install: str  # how it is built: arguments of an environment's python

    @cached_property
    def files(self) -> frozenset[str]:
        """The files that git knows in the checkout under test."""
        return frozenset(tracked_files(self.repository.root))

    def question(self, *folders: Path) -> Question:
        """Ask for all modules of the project, and for those from below these folders."""
        below = tuple(f"{folder}{os.sep}" for folder in (self.repository.root, *folders))
        return Question(names=frozenset(self.names), folders=below)

    @cached_property
    def names(self) -> dict[str, str]:
        """The names that the project's code is imported under, and the root of each."""
        return import_names(modules_of(self.files))

    @cached_property
    def roots(self) -> list[str]:
        """The import roots of what this process has imported of the project."""
        imported = project_modules(self.question())
        return sorted({self.names[name] for name in imported.keys() & self.names.keys()})

    def code(self, tree: Path, environment: Path | None, *folders: Path) -> Code:
        """Return what proves that a side ran the code of the checkout at ``tree``."""
        files = frozenset(tracked_files(tree))
        sources = {name: source.file for name, source in modules_of(files).items()}
        own = [environment] if environment else []
        return Code(
            question=self.question(tree, *own, *folders),
            tree=tree,
            known=files,
            sources=sources if tree == self.repository.root else {},
            environment=environment,
        )

    def built_module(self) -> str:
        """Return a file that this process imported of the project and git does not know, if any."""
        new = git(self.repository.root, "ls-files", "-z", "--others", "--exclude-standard")
        code = self.code(self.repository.root, None)
        known = replace(code, known={*code.known, *new.split("\0")})
        modules = project_modules(code.question)
        unknown = (file for name, file in modules.items() if not known.is_known(name, Path(file)))
        return next(unknown, "")
