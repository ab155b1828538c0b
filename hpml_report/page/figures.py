"""The figures of a run: ratios, kernels beside their limits, learning curves, scaling."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from hpml_gate.record import Case, Run
from hpml_report import scaling
from hpml_report.page.figure import Figure
from hpml_report.page.lines import KERNELS, Line
from hpml_report.scaling_figures import FEWEST, charts

# Colours after M. Okabe and K. Ito, Color Universal Design, 2008; a shape for each beside them.
LOOKS: Mapping[str, tuple[str, str]] = {
    "slower": ("#d55e00", "triangle-up"),
    "inconclusive": ("#cc79a7", "diamond"),
    "incomparable": ("#e69f00", "cross"),
    "faster": ("#009e73", "triangle-down"),
    "pass": ("#3b8fd0", "circle"),
}
RANGE = ("#3b8fd0", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#888888")
OTHER_LOOK = ("#888888", "square")
WIDTH, LINE_HEIGHT = 560, 18  # pixels
MOST_NAMES = 60  # beyond it the names of cases stand in the table alone
UNNAMED_HEIGHT = 700


def overview(number: int, lines: Sequence[Line]) -> Iterator[Figure]:
    """Yield all ratios of a run with their intervals and margins, largest first."""
    compared = sorted(
        ((line.interval, line) for line in lines if line.interval and line.interval[1] > 0),
        key=lambda one: -one[0][0],
    )
    rows = [
        {"case": line.name, "verdict": line.state, "ratio": ratio, "low": low, "high": high,
         "limit": 1 + (line.verdict.margin if line.verdict else 0), "place": place}
        for place, ((ratio, low, high), line) in enumerate(compared)
    ]  # fmt: skip
    if rows:
        title = "Ratios: now over then, above 1 is worse"
        yield Figure(
            name=f"ratios-{number}",
            title=title,
            chart=_ratios(rows),
            rows=[{name: row[name] for name in row if name != "place"} for row in rows],
        )


def _ratios(rows: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    shown = list(dict.fromkeys(str(row["verdict"]) for row in rows))
    looks = [LOOKS.get(one, OTHER_LOOK) for one in shown]
    colours, shapes = ([look[index] for look in looks] for index in (0, 1))
    base = _base(rows).encode(y=_places(rows))
    x = alt.X("ratio:Q", title="ratio (bar: interval; tick: margin)",
              scale=alt.Scale(type="log", zero=False, nice=False))  # fmt: skip
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=shown, range=colours))
    shape = alt.Shape("verdict:N", scale=alt.Scale(domain=shown, range=shapes))
    one = alt.Chart({"values": [{"ratio": 1}]}).mark_rule(color="#888").encode(x=x)
    margins = base.mark_tick(color="#888", thickness=2).encode(x="limit:Q")
    stroke, size = (2, 70) if len(rows) <= MOST_NAMES else (0.5, 12)
    intervals = base.mark_rule(strokeWidth=stroke).encode(x="low:Q", x2="high:Q", color=colour)
    points = base.mark_point(filled=True, size=size, opacity=1)
    points = points.encode(x=x, color=colour, shape=shape)
    return one + margins + intervals + points


def _places(rows: Sequence[Any]) -> Any:
    import altair as alt

    if len(rows) <= MOST_NAMES:
        return alt.Y("case:N", sort=None, title=None)
    return alt.Y("place:Q", axis=None, scale=alt.Scale(reverse=True))


def _base(rows: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    named = len(rows) <= MOST_NAMES
    height: Any = {"step": LINE_HEIGHT} if named else UNNAMED_HEIGHT
    return alt.Chart({"values": [dict(row) for row in rows]}, width=WIDTH, height=height)


def kernel_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return the rows of all comparisons of kernels."""
    return [row for case in cases for row in case.tables.get(KERNELS, [])]


def kernels(number: int, run: Run) -> Iterator[Figure]:
    """Yield what each variant reaches of its limit, a figure for each group."""

    def group_of(row: Mapping[str, Any]) -> str:
        return str(row.get("group", ""))

    for group, same in groupby(sorted(kernel_rows(run.cases), key=group_of), key=group_of):
        bars = [
            {"variant": _variant(row), "share": row["ratio_to_limit"]}
            for row in same
            if row.get("ratio_to_limit") is not None
        ]
        if bars:
            title = f"Kernels on {group}: share of the limit that each reaches"
            yield Figure(
                name=f"kernels-{number}-{group}", title=title, chart=_shares(bars), rows=bars
            )


def _variant(row: Mapping[str, Any]) -> str:
    words = " ".join(str(row.get(name, "")) for name in ("kernel", "variant", "size"))
    return f"{words}, limit {row.get('limit')}{' (peer)' if row.get('is_peer') else ''}"


def _shares(bars: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    height = {"step": LINE_HEIGHT}
    base = alt.Chart({"values": [*bars]}, width=WIDTH, height=height).encode(
        x=alt.X("share:Q", title="share of the limit (line: the limit)", axis=alt.Axis(format="%")),
        y=alt.Y("variant:N", sort=None, title=None),
    )
    limit = alt.Chart({"values": [{"share": 1}]}).mark_rule(color="#888").encode(x="share:Q")
    texts = base.mark_text(align="left", dx=4).encode(text=alt.Text("share:Q", format=".0%"))
    return base.mark_bar(color=LOOKS["pass"][0]) + limit + texts


def learning(number: int, run: Run) -> Iterator[Figure]:
    """Yield the curves of a run: a figure for each quantity and what it is drawn over."""
    points = [
        (name, curve.by, {"case": case.case_id, "at": at, "value": value})
        for case in run.cases
        for name, curve in case.curves.items()
        for at, value in zip(curve.at, curve.values, strict=False)
    ]
    points.sort(key=lambda one: one[:2])
    for (name, by), same in groupby(points, key=lambda one: one[:2]):
        rows = [row for _, _, row in same]
        yield Figure(
            name=f"learning-{number}-{name}-{by}",
            title=f"{name} by {by}",
            chart=_curves(name, by, rows),
            rows=rows,
        )


def _curves(name: str, by: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    base = alt.Chart({"values": [*rows]}, width=WIDTH, height=260)
    case = "case:N"
    return base.mark_line(point=True, invalid="break-paths-show-path-domains").encode(
        x=alt.X("at:Q", title=by),
        y=alt.Y("value:Q", title=name, scale=alt.Scale(zero=False)),
        color=alt.Color(
            case, scale=alt.Scale(range=RANGE), legend=alt.Legend(orient="bottom", columns=1)
        ),
        strokeDash=case,
    )


def scaled(number: int, run: Run) -> Iterator[tuple[str, list[dict[str, str]], list[Figure]]]:
    """Yield each problem that has several rows: its name, its table, its figures."""
    for problem, same in scaling.problems(scaling.rows_of(run.cases)):
        if len(same) >= FEWEST:
            rows = [_scaling_row(row, same) for row in same]
            yield (
                problem,
                rows,
                [
                    Figure(name=f"{name}-{number}", title=_title(name), chart=chart, rows=rows)
                    for name, chart in charts(same)
                ],
            )


def _title(name: str) -> str:
    return name.partition("-")[0].replace("_", " ")


def _scaling_row(row: scaling.Row, same: Sequence[scaling.Row]) -> dict[str, str]:
    known = scaling.figures(row, same)
    note = " (oversubscribed)" if row.is_oversubscribed else ""
    cells = {
        _heading(name, column): column.cell(known[name]) for name, column in scaling.COLUMNS.items()
    }
    return {"case": row.label + note, **cells}


def _heading(name: str, column: scaling.Column) -> str:
    """Return a heading that stands once: several figures have an ideal."""
    what = f"{name.partition('_')[0]} " if column.heading == "ideal" else ""
    return f"{what}{column.heading}"
