"""Print the tables of runs, from their records: ``python -m hpml_report RESULTS ...``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hpml_gate.record import read_all
from hpml_report import scaling

WIDTH = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each run's tables; the exit status is 2 where there is no record to read."""
    parser = argparse.ArgumentParser(prog="python -m hpml_report", description=__doc__)
    parser.add_argument("places", nargs="+", type=Path, metavar="RESULTS", help="files or folders")
    runs, problems = read_all(parser.parse_args(arguments).places)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)  # noqa: T201
    console = Console(width=WIDTH, highlight=False, markup=False)
    for file, run in runs:
        console.print(f"{file.parent}: {len(run.cases)} cases on {run.machine.id}")
        for table in scaling.tables(scaling.rows_of(run.cases)):
            console.print(table)
    return 0 if runs else 2


if __name__ == "__main__":
    sys.exit(main())
