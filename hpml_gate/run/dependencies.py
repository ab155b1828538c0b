"""What a checkout declares of the packages and the interpreter that it runs with."""

import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hpml_gate.run.repository import BaseError

WHOLE_FILES = ("setup.py", "setup.cfg", "*.lock")
LISTS = ("requirements*.txt", "constraints*.txt")


def dependencies(project: Path) -> dict[str, Any]:
    """Return what decides on the packages that a checkout runs with."""
    keys = ("dependencies", "optional-dependencies", "requires-python")
    declared = {key: _project(project).get(key) for key in keys}
    declared["dependency-groups"] = _tables(project).get("dependency-groups")
    whole = {file.name: file.read_bytes() for one in WHOLE_FILES for file in project.glob(one)}
    listed = {file.name: _lines(file) for one in LISTS for file in project.glob(one)}
    return {**declared, **whole, **listed}


def check_interpreter(project: Path, name: str) -> None:
    """Raise :class:`BaseError` if a checkout does not support the interpreter that runs now."""
    wanted = _project(project).get("requires-python", "")
    running = ".".join(map(str, sys.version_info[:3]))
    try:
        fits = SpecifierSet(wanted).contains(running, prereleases=True)
    except InvalidSpecifier as error:
        raise BaseError(f"{name}: requires-python: {error}") from None
    if not fits:
        raise BaseError(
            f"{name} requires Python {wanted}, this is {running}: times of different interpreters "
            "are not compared. Run with an interpreter that both support"
        )


def _lines(file: Path) -> list[str]:
    """Return a requirements file's lines without comments."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    bare = (line.partition(" #")[0].strip() for line in lines)
    return [line for line in bare if line and not line.startswith("#")]


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = _tables(folder).get("project", {})
    return project


def _tables(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        return {}
