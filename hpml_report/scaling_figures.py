"""The table of strategies as figures: speedups, what a rank holds, bubbles, the split size."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from hpml_report.scaling import Row, figures, problems

MEASURED, THEORY = "#3f6fd1", "#c0392b"
CHARTS: Sequence[tuple[str, str, str]] = (  # figure, what it says, its counterpart in theory
    ("speedup", "speedup over one device", "speedup_ideal"),
    ("held_share", "parameters and optimizer state on a rank, of one device's", "held_ideal"),
    ("bubble", "bubble: part of a step in which a rank waits", "bubble_ideal"),
)
FEWEST = 2  # one bar, or one point, compares nothing


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw what several rows of one problem tell; return the files, SVG, that were written."""
    drawn = []
    for name, chart in charts(rows):
        folder.mkdir(parents=True, exist_ok=True)
        drawn.append(folder / f"{name}.svg")
        chart.save(drawn[-1])
    return drawn


def charts(rows: Sequence[Row]) -> Iterator[tuple[str, Any]]:
    """Yield Altair's charts, each with a word that names it."""
    for problem, same in problems(rows):
        word = re.sub(r"[^A-Za-z0-9_.]+", "-", problem)
        known = [(row.label, figures(row, same)) for row in same]
        for name, title, ideal in CHARTS:
            bars = [(label, one[name], one[ideal]) for label, one in known if one[name] is not None]
            if len(bars) >= FEWEST:
                yield f"{name}-{word}", _bars(problem, title, bars)
        if points := [*_split_sizes(same)]:
            yield f"split_size-{word}", _lines(problem, points)


def _bars(problem: str, title: str, bars: Sequence[tuple[str, Any, Any]]) -> Any:
    """Draw a bar for each case, and a mark where theory would have it."""
    import altair as alt

    values = [{"case": label, "measured": value, "theory": ideal} for label, value, ideal in bars]
    base = alt.Chart({"values": values}, title=problem, width=480)
    y = alt.Y("case:N", sort=None, title=None, axis=alt.Axis(labelLimit=400))
    measured = base.mark_bar(color=MEASURED).encode(x=alt.X("measured:Q", title=title), y=y)
    texts = base.mark_text(align="left", dx=4).encode(
        x="furthest:Q", y=y, text=alt.Text("measured:Q", format=".2f")
    )
    beyond = texts.transform_calculate(furthest="max(datum.measured, datum.theory || 0)")
    if not any(ideal is not None for _, _, ideal in bars):
        return measured + beyond
    marks = base.mark_tick(color=THEORY, thickness=3).encode(
        x="theory:Q", y=y, tooltip=[alt.Tooltip("theory:Q", title="in theory")]
    )
    subtitle = alt.TitleParams(problem, subtitle="bar: measured; mark: in theory")
    return (measured + marks + beyond).properties(title=subtitle)


def _split_sizes(same: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield the rows that differ in the number of micro-batches alone, where there are several."""

    def name_of(row: Row) -> str:
        return re.sub(r"-m\d+", "", row.label)

    for name, group in groupby(sorted(same, key=name_of), key=name_of):
        curve = sorted(group, key=lambda row: int(row.axis("micro_batches")))
        for row in curve if len(curve) >= FEWEST else []:
            launches_ms = [ns / 1e6 for ns in row.measured.launch_medians_ns]
            yield {
                "case": name,
                "micro_batches": row.axis("micro_batches"),
                "step_ms": row.measured.median_ns / 1e6,
                "fastest_ms": min(launches_ms),
                "slowest_ms": max(launches_ms),
            }


def _lines(problem: str, points: Sequence[dict[str, Any]]) -> Any:
    """Draw step times over the number of micro-batches, with the range of the launches."""
    import altair as alt

    counts = sorted({point["micro_batches"] for point in points})
    base = alt.Chart({"values": [*points]}, title=problem, width=480).encode(
        x=alt.X(
            "micro_batches:Q",
            title="micro-batches that the batch is split into",
            scale=alt.Scale(type="log", base=2),
            axis=alt.Axis(values=counts),
        ),
        color=alt.Color("case:N", legend=alt.Legend(labelLimit=300)),
    )
    title = "step, ms (bars: range of the launches)"
    line = base.mark_line(point=True).encode(y=alt.Y("step_ms:Q", title=title))
    return line + base.mark_rule().encode(y="fastest_ms:Q", y2="slowest_ms:Q")
