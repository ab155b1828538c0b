"""The command ``hpml``: one name for what the packages can be asked to do.

Each command has the form of a console script: a function without arguments that reads ``sys.argv``.
It is imported when it is called, so ``hpml history`` needs no torch.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command and the line that describes it in ``hpml --help``."""

    main: Callable[[], int | None]
    summary: str
    extra: str = "suite"  # what installs the libraries that it needs


def _run() -> int:
    """Run pytest on the benchmarks of the checkout in this folder; arguments go to pytest."""
    import pytest

    missing = [name for name in ("pyproject.toml", "benchmarks") if not Path(name).exists()]
    if missing:
        print(f"no {' and no '.join(missing)} in {Path.cwd()}: cd to a checkout", file=sys.stderr)  # noqa: T201
        return pytest.ExitCode.USAGE_ERROR
    # Of `--data-root ../data` pytest would take the path for one of tests before it knows the
    # option, and look for settings and options there: so it is given both.
    fixed = ["-c", "pyproject.toml", "benchmarks", "--junit-xml=results/junit.xml"]
    return pytest.main([*fixed, *sys.argv[1:]])


def _kernels() -> None:
    from hpml_kernels.roofline.table import main

    main()


def _history() -> int:
    from hpml_gate.output.history import main

    return main()


def _report() -> int:
    from hpml_report.page.command import main

    return main()


def _data() -> int:
    from hpml_models.prepare.data_sets import main

    return main()


COMMANDS = {
    "run": Command(main=_run, summary="run the benchmarks in this folder; takes pytest's options"),
    "kernels": Command(main=_kernels, summary="measure kernels beside their limits and peers"),
    "data": Command(main=_data, summary="show which data sets a folder holds; download some"),
    "history": Command(main=_history, summary="find changes of level over the runs that are kept"),
    "report": Command(
        main=_report, summary="write one HTML file from the records of runs", extra="report"
    ),
}


def main() -> int | None:
    """Run the command that ``sys.argv`` names, and return its exit status."""
    name, *arguments = _parse(sys.argv[1:])
    sys.argv = [f"hpml {name}", *arguments]
    command = COMMANDS[name]
    try:
        return command.main()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hpml"):
            raise
        sys.exit(f"hpml {name} needs {error.name}: python -m pip install 'hpml[{command.extra}]'")


def _parse(arguments: list[str]) -> list[str]:
    """Return the command's name and its own arguments."""
    summaries = [f"  {name:<9} {command.summary}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="hpml",
        usage="hpml COMMAND [ARGUMENTS]",
        description="Commands (hpml COMMAND --help shows the arguments):\n" + "\n".join(summaries),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments or ["--help"])
    return [parsed.command, *parsed.arguments]
