"""Under which names a project's files are imported, read off the files that git knows."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

PROJECT_FILES = {"pyproject.toml", "setup.py", "setup.cfg"}
SOURCE_FOLDERS = ("", "src", "lib", "python")  # below a folder with a project file
SOURCES = {".py", ".pyx"}
PACKAGE = "__init__"
NOT_IMPORTED = {*sys.stdlib_module_names, "conftest", "setup"}  # from elsewhere, or by pytest


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that is imported as a module, and the folder that is searched for it."""

    root: str
    file: str


def modules_of(files: Collection[str]) -> dict[str, Source]:
    """Return the modules in a checkout's files, by dotted name."""
    known = set(files)
    roots = _import_roots(known)
    found = {}
    for file in sorted(known):
        path = PurePosixPath(file)
        if path.suffix in SOURCES:
            root = next(parent for parent in path.parents if parent in roots)
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == PACKAGE else parts)
            found[name] = Source(root=str(root), file=file)
    return found


def import_names(modules: Mapping[str, Source]) -> dict[str, str]:
    """Return the names of a project's packages and modules, each with the root it is found in.

    A package counts as a whole; of a folder without ``__init__.py``, which other projects may
    share, each package and module in it.
    """
    names = {}
    for name, source in modules.items():
        parts = name.split(".")
        parents = [".".join(parts[:depth]) for depth in range(1, len(parts))]
        packages = (one for one in parents if one in modules)
        if name and parts[0] not in NOT_IMPORTED:
            names[next(packages, name)] = source.root
    return names


def _import_roots(files: Collection[str]) -> set[PurePosixPath]:
    """Return the folders from which modules are imported; the outermost has what no other has."""
    outermost = PurePosixPath()
    projects = {PurePosixPath(file).parent for file in files if _is_project_file(file)}
    roots = {one / source for one in {outermost, *projects} for source in SOURCE_FOLDERS}
    packages = {one for one in roots if str(one / f"{PACKAGE}.py") in files}
    return (roots - packages) | {outermost}


def _is_project_file(file: str) -> bool:
    return PurePosixPath(file).name in PROJECT_FILES
