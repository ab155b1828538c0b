"""The table of kernels: what each variant reached, beside its limit and its best peer."""

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpml_kernels.roofline.rows import GROUPS, Row, check_rows, load, save

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("kernel", "variant", "on", "size", "us/call", "GB/s", "GFLOP/s", "limit")
RATIOS = ("ratio_to_limit", "ratio_to_best_peer", "best peer", "status")
TERMINAL_COLUMNS = ("kernel", "variant", "us/call", "rate", "of its limit", "by the best peer")
FOLDED = ("kernel", "of its limit")  # where the terminal's 100 columns do not do
WIDTH = 100


def terminal_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table for a terminal of 100 columns: a part for each group and size."""
    from rich import box
    from rich.table import Table

    for group in GROUPS:
        members = [row for row in rows if row.group == group]
        if not members:
            continue
        table = Table(box=box.SIMPLE, title=group, title_justify="left", pad_edge=False)
        for column in TERMINAL_COLUMNS:
            table.add_column(column, overflow="fold", no_wrap=column not in FOLDED)
        for row in members:
            table.add_row(*_terminal_cells(row))
        yield from _rendered(table, WIDTH)
    yield from remarks(rows)


def markdown_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table as Markdown; what was not measured or does not apply is a dash.

    GB/s and GFLOP/s are the kernel's stated work by the time of a call.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.MARKDOWN)
    for column in (*COLUMNS, *RATIOS):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    yield from (line for line in _rendered(table, 1000) if line)
    yield from remarks(rows)


def remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what the table itself has no room for: reasons, and what was not measured."""
    reasons = [f"{row.kernel}-{row.variant}: {row.status}: {row.reason}" for row in rows]
    noted = [line for line, row in zip(reasons, rows, strict=True) if row.reason]
    if noted:
        yield ""
        yield from noted


def _rendered(table: "Table", width: int) -> list[str]:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _terminal_cells(row: Row) -> tuple[str, ...]:
    peer = "-" if row.best_peer is None else f"{_number(row.ratio_to_best_peer)} {row.best_peer}"
    share = _number(row.ratio_to_limit)
    return (
        f"{row.kernel} {row.size}",
        row.variant,
        f"{row.call_ns / 1e3:.4g}",
        _rate(row),
        f"{share} {row.limit}" if row.status == "ok" else f"{share} {row.limit}, {row.status}",
        peer,
    )


def _rate(row: Row) -> str:
    """Return what the kernel is known by: operations where it has any, bytes otherwise."""
    if row.flops:
        return f"{row.flops / row.call_ns:.3g} GFLOP/s"
    return f"{row.bytes_moved / row.call_ns:.3g} GB/s" if row.bytes_moved else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.kernel,
        row.variant,
        row.group,
        str(row.size),
        f"{row.call_ns / 1e3:.4g}",
        f"{row.bytes_moved / row.call_ns:.3g}" if row.bytes_moved else "-",
        f"{row.flops / row.call_ns:.3g}" if row.flops else "-",
        row.limit,
        _number(row.ratio_to_limit),
        _number(row.ratio_to_best_peer),
        row.best_peer or "-",
        row.status,
    )


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write the table as Markdown, the rows as JSON and the picture as SVG."""
    from hpml_kernels.roofline.plot import draw

    folder.mkdir(parents=True, exist_ok=True)
    table = "\n".join(markdown_lines(rows))
    (folder / "kernels.md").write_text(table + "\n", encoding="utf-8")
    save(rows, folder / "kernels.json")
    draw(rows, folder / "roofline.svg")


def main() -> None:
    """Measure kernels or read a run's rows, and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kernels", help="names, separated by commas; default: all")
    parser.add_argument("--preset", choices=("tiny", "small", "paper"), default="tiny")
    parser.add_argument("--rows", type=Path, help="the kernels.json of a run, instead of measuring")
    parser.add_argument(
        "--to", type=Path, help="a folder for kernels.md, kernels.json, roofline.svg"
    )
    options = parser.parse_args()
    rows = load(options.rows) if options.rows else _measured(options.kernels, options.preset)
    print("\n".join(terminal_lines(rows)))  # noqa: T201  what this command is for
    if options.to:
        write(rows, options.to)
    check_rows(rows)


def _measured(names: str | None, preset: str) -> Sequence[Row]:
    from hpml_kernels.registry import kernels
    from hpml_kernels.roofline.compare import compare, missing_groups

    rows = compare(names.split(",") if names else tuple(kernels()), preset)
    print("\n".join(missing_groups()))  # noqa: T201
    return rows


if __name__ == "__main__":
    main()
