"""Proof of whose code ran: where the modules of the project under test came from.

A process is asked for the project's modules and their files; the controller, who knows what git
knows, judges them. A comparison of a side that ran the other's code, or code that nobody can trace
to its commit, would say nothing.
"""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

GATE = __package__.partition(".")[0]  # the same on both sides, by design
SOURCE = ".py"
SITES = {"site-packages", "dist-packages"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a process: the modules of these names or from below these folders."""

    names: Collection[str]  # as they are imported; all below a package are its own
    folders: Sequence[str]  # ends with the separator; the environments in them are left out


def project_modules(question: Question) -> dict[str, str]:
    """Return the files of this process's modules that are the project's, by module name."""
    return {
        name: os.path.realpath(file)
        for name, file in _imported()
        if any(parent in question.names for parent in _parents(name))
        or (file.startswith(tuple(question.folders)) and not _is_installed(file))
    }


def _imported() -> Iterator[tuple[str, str]]:
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name != GATE and not name.startswith(f"{GATE}."):
            yield name, file


def _parents(name: str) -> Iterator[str]:
    """Yield ``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``."""
    return accumulate(name.split("."), lambda parent, child: f"{parent}.{child}")


def _is_installed(file: str) -> bool:
    homes = (sys.prefix + os.sep, sys.base_prefix + os.sep)
    return file.startswith(homes) or not SITES.isdisjoint(Path(file).parts)


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code that one side is to run, and what its processes say they ran."""

    question: Question
    tree: Path  # its checkout
    known: Collection[str]  # the files in it that git knows
    sources: Mapping[str, str] = field(default_factory=dict)  # known files by module name
    environment: Path | None = None  # what was built from the checkout, if it was
    seen: dict[str, str] = field(default_factory=dict)  # module: file

    def problem_with(self, modules: Mapping[str, str]) -> str:
        """Return which module is not this side's own; nothing if all are."""
        self.seen.update(modules)
        for name, file in modules.items():
            if not self._is_own(name, Path(file)):
                is_inside = Path(file).is_relative_to(self.tree)
                why = "was built of nobody knows what" if is_inside else "is not its own"
                return f"imported {file}, which {why}"
        return ""

    @property
    def origins(self) -> dict[str, str]:
        """Return each module's file, relative to the checkout where it lies there."""
        files = {name: Path(file) for name, file in sorted(self.seen.items())}
        return {
            name: str(file.relative_to(self.tree) if file.is_relative_to(self.tree) else file)
            for name, file in files.items()
        }

    def is_known(self, name: str, file: Path) -> bool:
        """Whether a module's file is one that git knows, or an installed copy of it."""
        if file.is_relative_to(self.tree):
            return str(file.relative_to(self.tree)) in self.known
        source = self.sources.get(name)
        is_source = source is not None and file.suffix == SOURCE
        return is_source and (self.tree / str(source)).read_bytes() == file.read_bytes()

    def _is_own(self, name: str, file: Path) -> bool:
        """Whether a file is this side's: what it built, a source in its tree, or what git knows."""
        if self.environment and file.is_relative_to(self.environment):
            return True
        is_trusted = file.suffix == SOURCE or self.environment is not None
        return (is_trusted and file.is_relative_to(self.tree)) or self.is_known(name, file)
