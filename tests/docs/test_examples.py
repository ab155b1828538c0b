"""Code blocks of README and docs work as they stand: Python runs, commands name what there is."""

import shlex
import tomllib
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

import hpml_cli

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# What they are asked for is theirs to refuse.
OTHER_TOOLS = {"deepspeed", "git", "nvidia-smi", "pip", "torchrun"}


class Commands:
    """Holds each line of a shell block to the environments, modules and options that there are."""

    def __init__(self, config: pytest.Config) -> None:
        self.parse = config._parser.parse_known_and_unknown_args  # noqa: SLF001  has no other door

    def evaluate(self, example: Example) -> None:
        for line in example.parsed.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                self.check(words)

    def check(self, words: list[str]) -> None:
        checks: dict[str, Callable[[list[str]], None]] = {
            "tox": self.check_tox,
            "pytest": self.check_pytest,
            "hpml": self.check_hpml,
            "python": self.check_python,
        }
        program, *arguments = words
        if program not in OTHER_TOOLS:
            checks[program](arguments)

    def check_tox(self, arguments: list[str]) -> None:
        known = ConfigParser()
        known.read(ROOT / "tox.ini")
        own, dashes, others = " ".join(arguments).partition("-- ")
        for name in own.replace("-e", "").split():
            assert f"testenv:{name}" in known
        if dashes:
            self.check_pytest(others.split())

    def check_pytest(self, arguments: list[str]) -> None:
        _, unknown = self.parse(arguments)  # raises for a value that an option does not take
        assert not unknown

    def check_hpml(self, arguments: list[str]) -> None:
        assert arguments[0] in hpml_cli.COMMANDS
        if arguments[0] == "run":
            self.check_pytest(arguments[1:])

    def check_python(self, arguments: list[str]) -> None:
        dash_m, module, *others = arguments
        assert dash_m == "-m"
        assert module in {*OTHER_TOOLS, "venv"} or find_spec(module)
        if module == "pytest":
            self.check_pytest(others)


def check_ini(example: Example, config: pytest.Config) -> None:
    """Hold settings to the names that pytest and the gate know."""
    for name in tomllib.loads(example.parsed)["tool"]["pytest"]["ini_options"]:
        config.getini(name)  # raises for an unknown name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_works(page: Path, pytestconfig: pytest.Config) -> None:
    document = Document.parse(
        str(page),
        PythonCodeBlockParser(),
        CodeBlockParser("sh", Commands(pytestconfig).evaluate),
        CodeBlockParser("toml", lambda example: check_ini(example, pytestconfig)),
    )
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize(
    "line",
    [
        "pytest --gate-marign 5%",
        "pytest --gate sometimes",
        "tox -e bnech",
        "tox -e bench -- --no-such-option",
        "hpml histroy",
        "hpml run --model resnet19",
        "python -m hpml_gate.no_such_module",
    ],
)
def test_a_command_that_does_not_exist_is_found(pytestconfig: pytest.Config, line: str) -> None:
    with pytest.raises((AssertionError, pytest.UsageError, SystemExit)):
        Commands(pytestconfig).check(shlex.split(line))
