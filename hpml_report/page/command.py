"""The command ``hpml report``: read records, write the page, export tables and figures."""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hpml_gate.files import write_whole
from hpml_gate.markdown import code, prose
from hpml_gate.record import read_all
from hpml_report.page.figure import Figure
from hpml_report.page.page import Part, page, parts_of

FIGURES: Mapping[str, Callable[[Figure], str | bytes]] = {"svg": Figure.svg, "png": Figure.png}
TABLES = ("csv", "md")
COLUMNS = (
    "run", "machine", "case", "verdict", "ratio", "low", "high", "margin", "step_ns",
    "items_per_s", "memory_bytes", "reason",
)  # fmt: skip
HEAD = (
    "| verdict | case | ratio | time | throughput | memory | why |\n|---|---|---|---|---|---|---|"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a report; the exit status is 2 where no record was read, or the disk refused."""
    given = _parser().parse_args(arguments)
    runs, problems = read_all(given.runs)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)  # noqa: T201
    parts = parts_of(runs)
    try:
        for file in _write(given.out, parts, problems, given.export):
            print(file)  # noqa: T201
    except OSError as error:
        reason = error.strerror or error
        remedy = "free some space, or name another place with --out"
        print(f"{given.out} is not written whole ({reason}): {remedy}", file=sys.stderr)  # noqa: T201
        return 2
    return 0 if runs else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write one HTML file from the records of runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="records, or folders")
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), help="the page (%(default)s)"
    )
    parser.add_argument(
        "--export",
        type=_formats,
        default=[],
        metavar="FORMATS",
        help=f"also, beside the page: {', '.join([*TABLES, *FIGURES])}; several by commas",
    )
    return parser


def _formats(text: str) -> list[str]:
    named = text.split(",")
    if unknown := [one for one in named if one not in (*TABLES, *FIGURES)]:
        known = ", ".join([*TABLES, *FIGURES])
        raise argparse.ArgumentTypeError(f"no format {', '.join(unknown)}: there are {known}")
    return named


def _write(
    out: Path, parts: Sequence[Part], problems: Sequence[str], formats: Sequence[str]
) -> Iterator[Path]:
    out.parent.mkdir(parents=True, exist_ok=True)
    contents: dict[Path, Callable[[], str | bytes]] = {out: lambda: page(parts, problems)}
    if "csv" in formats:
        contents[out.with_suffix(".csv")] = lambda: csv_of(parts)
    if "md" in formats:
        contents[out.with_suffix(".md")] = lambda: markdown_of(parts, problems)
    for target, content in contents.items():
        write_whole(target, content())
        yield target
    for extension in formats:
        if extension in FIGURES:
            yield from _draw(out.with_suffix(""), parts, extension)


def _draw(folder: Path, parts: Sequence[Part], extension: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    for part in parts:
        for figure in part.figures:
            target = folder / f"{figure.file_name}.{extension}"
            write_whole(target, FIGURES[extension](figure))
            yield target


def csv_of(parts: Sequence[Part]) -> str:
    """Return the table of cases; what was not measured is blank."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for part in parts:
        for line in part.lines:
            interval = line.interval or (None, None, None)
            margin = line.verdict.margin if line.verdict else None
            measured = (line.time_ns, line.items_per_s, line.memory_bytes)
            known = (part.number, part.run.machine.id, line.name, line.label)
            table.writerow([*known, *interval, margin, *measured, line.reason])
    return text.getvalue()


def markdown_of(parts: Sequence[Part], problems: Sequence[str]) -> str:
    """Return the verdicts and the table of cases."""
    blocks = [_markdown(part) for part in parts]
    return "\n\n".join([*blocks, *(f"Left out: {prose(one)}" for one in problems)]) + "\n"


def _markdown(part: Part) -> str:
    rows = [
        f"| {prose(line.label)} | {code(line.name)} | {line.ratio_in_words} | "
        f"{' | '.join(line.words.values())} | {prose(line.reason)} |"
        for line in part.lines
    ]
    known = [prose(part.sentence), *(f"{name}: {code(text)}" for name, text in part.head.items())]
    return "\n\n".join([f"## Run {part.number}", *known, "\n".join([HEAD, *rows])])
