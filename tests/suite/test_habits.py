"""Versions that are written in two files are the same in both."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
HOOKS = re.findall(r"\[([\w-]+)==([\w.]+)\]", (ROOT / ".pre-commit-config.yaml").read_text())
LOWEST = dict(
    re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints-lowest.txt").read_text(), re.MULTILINE)
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize(("name", "version"), HOOKS)
def test_a_hook_is_the_version_that_tox_runs(name: str, version: str) -> None:
    assert PINS[name] == version


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *EXTRAS["suite"], *EXTRAS["test"]]
)
def test_the_lowest_version_that_is_admitted_is_tested(requirement: str) -> None:
    name, lowest = re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
    assert name in LOWEST, f"add {name}=={lowest} to constraints-lowest.txt, and install it once"
    assert f"{LOWEST[name]}.".startswith(f"{lowest}.")
