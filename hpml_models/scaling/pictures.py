"""The table of strategies as pictures: speedups, what a rank holds, and the split-size curve."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from hpml_models.scaling.table import Row, figures, place, problem_of

INCH_PER_BAR = 0.34
LABEL_SHARE = 0.08  # of the axis, that a number beside its bar takes
CHARTS: Sequence[tuple[str, str, str]] = (  # figure, what is said of it, its counterpart in theory
    ("speedup", "speedup over one device", "speedup_ideal"),
    ("held_share", "parameters and optimizer state on a rank, of one device's", "held_ideal"),
    ("bubble", "bubble: part of a step in which a rank waits", "bubble_ideal"),
)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw what several rows of one problem tell; return the files, SVG, that were written."""
    drawn = []
    for problem, same in groupby(sorted(rows, key=place), key=lambda row: problem_of(row.case)):
        together = list(same)
        for name, chart in _charts(together, rows):
            drawn.append(folder / f"{name}-{_word('-'.join(problem))}.svg")
            folder.mkdir(parents=True, exist_ok=True)
            chart.suptitle(", ".join(problem))
            chart.savefig(drawn[-1])
    return drawn


def _charts(same: Sequence[Row], rows: Sequence[Row]) -> Iterator[tuple[str, Any]]:
    by_label = {f"b{row.case.batch} {row.case.layout}": figures(row, rows) for row in same}
    for name, title, ideal in CHARTS:
        measured = {label: value for label, one in by_label.items() if (value := one[name])}
        if len(measured) > 1:
            ideals = {label: by_label[label].get(ideal) for label in measured}
            yield name, _bars(title, measured, ideals)
    curves = [*_curves(same)]
    if curves:
        yield "split_size", _lines(curves)


def _figure(height_inch: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height_inch), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _bars(title: str, measured: dict[str, float], ideal: dict[str, float | None]) -> Any:
    """Draw a bar for each case, and a mark where theory would have it."""
    figure, axes = _figure(1.2 + INCH_PER_BAR * len(measured))
    axes.barh(list(measured), list(measured.values()), color="#3f6fd1", label="measured")
    marks = [(value, label) for label, value in ideal.items() if value is not None]
    _write_values(axes, measured, ideal)
    if marks:
        axes.plot(*zip(*marks, strict=True), "|", color="#c0392b", ms=14, mew=2, label="in theory")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(title)
    return figure


def _write_values(axes: Any, measured: dict[str, float], ideal: dict[str, float | None]) -> None:
    """Write each value beside its bar: beyond the mark, where that would be covered."""
    drawn = [*measured.values(), *ideal.values()]
    room = LABEL_SHARE * max(value for value in drawn if value is not None)
    for label, value in measured.items():
        mark = ideal[label]
        is_near = mark is not None and value <= mark < value + room
        at = (mark if is_near else value, label)
        axes.annotate(f"{value:.2f}", at, xytext=(5, 0), textcoords="offset points", va="center")


def _curves(same: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Give the rows that differ in the number of micro-batches alone, where there are several."""

    def label(row: Row) -> str:
        return re.sub(r"-m\d+", "", f"b{row.case.batch} {row.case.layout}")

    for name, group in groupby(sorted(same, key=label), key=label):
        curve = sorted(group, key=lambda row: row.case.micro_batches)
        if len(curve) > 1:
            yield name, curve


def _lines(curves: Sequence[tuple[str, list[Row]]]) -> Any:
    """Draw step times over the number of micro-batches, with the range of the launches."""
    figure, axes = _figure(5)
    for name, curve in curves:
        counts = [row.case.micro_batches for row in curve]
        launches_ms = [[ns / 1e6 for ns in row.launch_medians_ns] for row in curve]
        middle = [row.step_ns / 1e6 for row in curve]
        below = [ms - min(of) for ms, of in zip(middle, launches_ms, strict=True)]
        above = [max(of) - ms for ms, of in zip(middle, launches_ms, strict=True)]
        axes.errorbar(counts, middle, yerr=[below, above], marker="o", capsize=3, label=name)
    counts = sorted({row.case.micro_batches for _, curve in curves for row in curve})
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts], minor=False)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("micro-batches that the batch is split into")
    axes.set_ylabel("step, ms (bars: range of the launches)")
    axes.legend(frameon=False)
    return figure


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)
