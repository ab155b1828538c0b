"""The table of kernels: what each variant reached, beside its limit and its best peer."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from hpml_kernels.cuda import why_not_cuda
from hpml_kernels.registry import kernels
from hpml_kernels.roofline.compare import Row, compare

HEADINGS = ("kernel", "variant", "on", "size", "us/call", "GB/s", "GFLOP/s", "limit")
RATIOS = ("ratio_to_limit", "ratio_to_best_peer", "best peer")


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Give the table as Markdown, columns in line; what was not measured or does not apply: a dash.

    GB/s and GFLOP/s are the kernel's stated work by the time of a call.
    """
    cells = [(*HEADINGS, *RATIOS), *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for number, row in enumerate(cells):
        joined = " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {joined} |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def report(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table, and what is not in it."""
    yield from lines(rows)
    if reason := why_not_cuda():
        yield ""
        yield f"cuda: not run ({reason})"


def _cells(row: Row) -> tuple[str, ...]:
    ahead = row.ratio_to_best_peer
    return (
        row.kernel,
        row.variant,
        row.group,
        str(row.size),
        f"{row.call_ns / 1e3:.4g}",
        f"{row.bytes_moved / row.call_ns:.3g}" if row.bytes_moved else "-",
        f"{row.flops / row.call_ns:.3g}" if row.flops else "-",
        row.limit,
        f"{row.ratio_to_limit:.3g}",
        "-" if ahead is None else f"{ahead:.3g}",
        row.best_peer or "-",
    )


def main() -> None:
    """Measure, print the table, and write kernels.md, kernels.json and roofline.svg below --to."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kernels", default=",".join(kernels()), help="names, by commas")
    parser.add_argument("--preset", choices=("tiny", "small", "paper"), default="tiny")
    parser.add_argument(
        "--to", type=Path, help="a folder for kernels.md, kernels.json, roofline.svg"
    )
    asked = parser.parse_args()
    rows = compare(asked.kernels.split(","), asked.preset)
    print("\n".join(report(rows)))  # noqa: T201  what this command is for
    if asked.to:
        write(rows, asked.to)


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write the table as Markdown, the rows as JSON and the picture as SVG."""
    from hpml_kernels.roofline.plot import draw

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernels.md").write_text("\n".join(report(rows)) + "\n", encoding="utf-8")
    text = json.dumps([asdict(row) for row in rows], indent=1)
    (folder / "kernels.json").write_text(text, encoding="utf-8")
    draw(rows, folder / "roofline.svg")


if __name__ == "__main__":
    main()
