"""Pictures of what was measured, beside what it was compared with: one small SVG per case.

A box per launch (quartiles, median, whiskers to the extremes), because how far launches lie apart
is what a verdict rests on. Written by hand: a plotting library's SVG is ten times as large, and a
run has one for each case.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import exp, log
from pathlib import Path
from statistics import mean, median

from hpml_gate.files import write_whole
from hpml_gate.record import Case, Quantiles, Run, medians
from hpml_gate.words import UNITS, round_ticks, verdict_in_words

WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 90, 150, 60, 70  # margins in pixels
MOST_BOXES = 20  # of each side, the newest: more cannot be told apart
LONGEST_TITLE, LONGEST_NAME = 110, 60  # characters
THEN, NOW, LIMIT, OUTLYING = "#8a8a8a", "#3f6fd1", "#c0392b", "#b35900"
# B. Iglewicz, D. C. Hoaglin, How to Detect and Handle Outliers, 1993: beyond 3.5 deviations, which
# are taken from the median of the distances. Below half a percent launches agree anyhow.
MANY_DEVIATIONS, LEAST_DEVIATION = 3.5, 0.005
FEWEST_LAUNCHES = 4  # with fewer, none can be told to be the odd one


@dataclass(frozen=True, kw_only=True)
class Side:
    """The launches of one side, the newest that there is room for."""

    name: str
    colour: str
    launches_ns: Sequence[Quantiles]
    first: int  # the number of the first launch that is shown

    @classmethod
    def of(cls, name: str, colour: str, launches_ns: Sequence[Quantiles]) -> "Side":
        """Leave out what there is no room for."""
        shown = launches_ns[-MOST_BOXES:]
        first = len(launches_ns) - len(shown) + 1
        return cls(name=name, colour=colour, launches_ns=shown, first=first)

    @property
    def title(self) -> str:
        """What it is, and how many launches are shown."""
        return f"{self.name}: {len(self.launches_ns)} launches"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Turns nanoseconds into heights."""

    lowest_ns: float
    highest_ns: float

    @classmethod
    def over(cls, times_ns: Sequence[float]) -> "Scale":
        """Leave a twentieth of the range free at either end."""
        pad = 0.05 * (max(times_ns) - min(times_ns)) or 0.05 * max(times_ns)
        return cls(lowest_ns=min(times_ns) - pad, highest_ns=max(times_ns) + pad)

    @property
    def unit(self) -> tuple[float, str]:
        """The unit that suits the largest time: its nanoseconds and its name."""
        return max(one for one in UNITS if one[0] <= max(1.0, self.highest_ns))

    def y(self, ns: float) -> float:
        """Return the height in pixels from the top."""
        share = (ns - self.lowest_ns) / (self.highest_ns - self.lowest_ns)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def draw_case(case: Case, folder: Path) -> Path:
    """Draw a measured case and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file_name(case.case_id)
    write_whole(target, "\n".join(_picture(case)))
    return target


def file_name(case_id: str) -> str:
    """Return a name that any id may have and no two ids share."""
    digest = hashlib.sha256(case_id.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    words = re.sub(r"[^A-Za-z0-9_]+", "-", case_id).strip("-")[:LONGEST_NAME]
    return f"{words}-{digest}.svg".lstrip("-")


def is_outlying(launches_ns: Sequence[Quantiles]) -> list[bool]:
    """Return which launches lie far from the others of their side."""
    logs = [log(ns) for ns in medians(launches_ns)]
    if len(logs) < FEWEST_LAUNCHES:
        return [False] * len(logs)
    middle = median(logs)
    deviation = 1.4826 * median(abs(one - middle) for one in logs)
    limit = MANY_DEVIATIONS * max(deviation, LEAST_DEVIATION)
    return [abs(one - middle) > limit for one in logs]


def _picture(case: Case) -> Iterator[str]:
    sides = _sides(case)
    times = [ns for side in sides for launch in side.launches_ns for ns in launch]
    lines = [*_lines(case, sides)]
    scale = Scale.over([*times, *(ns for ns, _, _ in lines)])
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
    yield f'<text x="{LEFT}" y="22" font-weight="bold">{_short(case.case_id)}</text>'
    yield f'<text x="{LEFT}" y="42">{_short(verdict_in_words(case.verdict))}</text>'
    yield from _axes(scale)
    for number, (ns, colour, label) in enumerate(lines):
        yield _line(scale.y(ns), colour, label, below=number == 0)
    yield from _boxes(scale, sides)
    yield "</svg>"


def _short(text: str) -> str:
    """Cut a long text and drop what XML cannot hold."""
    whole = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)
    return escape(whole if len(whole) <= LONGEST_TITLE else whole[: LONGEST_TITLE - 3] + "...")


def _sides(case: Case) -> list[Side]:
    if case.measurement is None:
        raise ValueError("it was not measured")
    now = Side.of("now", NOW, case.measurement.launches_ns)
    then = case.measurement.comparison
    return [now] if then is None else [Side.of(then.kind, THEN, then.launches_ns), now]


def _lines(case: Case, sides: Sequence[Side]) -> Iterator[tuple[float, str, str]]:
    """Yield the level that was compared with and the limit of what passes."""
    first, verdict = sides[0], case.verdict
    level_ns = exp(mean(log(ns) for ns in medians(first.launches_ns)))
    yield level_ns, first.colour, f"{first.name}'s mean" if len(sides) == 1 else first.name
    if len(sides) > 1 and verdict is not None:
        yield level_ns * (1 + verdict.margin), LIMIT, f"{first.name} + {verdict.margin:.0%}"


def _axes(scale: Scale) -> Iterator[str]:
    factor, unit = scale.unit
    for tick in round_ticks(scale.lowest_ns / factor, scale.highest_ns / factor):
        y = scale.y(tick * factor)
        yield _line(y, "#e4e4e4")
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick:.6g}</text>'
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 24 {middle:g})"'
    yield f'<text x="24" y="{middle:g}" text-anchor="middle" {turned}>time per step, {unit}</text>'
    x = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{x:g}" y="{HEIGHT - 10}" text-anchor="middle">launch (a fresh process)</text>'


def _line(y: float, colour: str, label: str = "", *, below: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if label else ""
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="{colour}"{dashes}/>'
    text_y = round(y + (12 if below else -2), 1)  # two lines may lie close together
    text = f'<text x="{WIDTH - RIGHT + 6}" y="{text_y}" fill="{colour}">{label}</text>'
    return line + text if label else line


def _boxes(scale: Scale, sides: Sequence[Side]) -> Iterator[str]:
    step = (WIDTH - LEFT - RIGHT) / sum(len(side.launches_ns) for side in sides)
    start = float(LEFT)
    for side in sides:
        odd = is_outlying(side.launches_ns)
        for index, launch in enumerate(side.launches_ns):
            x = round(start + step * (index + 0.5), 1)
            yield _box(x, round(min(60.0, step / 2), 1), launch, side.colour, scale)
            yield _number(x, side.first + index, is_odd=odd[index])
        x = round(start + step * len(side.launches_ns) / 2, 1)
        text = side.title + ("; outlying: bold" if any(odd) else "")
        yield f'<text x="{x}" y="{HEIGHT - 32}" text-anchor="middle">{text}</text>'
        start += step * len(side.launches_ns)


def _number(x: float, number: int, *, is_odd: bool) -> str:
    style = f' font-weight="bold" fill="{OUTLYING}"' if is_odd else ""
    at = f'x="{x}" y="{HEIGHT - 52}" text-anchor="middle" font-size="10"'
    return f"<text {at}{style}>{'▲' if is_odd else ''}{number}</text>"


def _box(x: float, width: float, launch: Quantiles, colour: str, scale: Scale) -> str:
    bottom, q1, middle, q3, top = (scale.y(ns) for ns in launch)
    left, right = round(x - width / 2, 1), round(x + width / 2, 1)
    return (
        f'<g stroke="{colour}" fill="{colour}">'
        f'<line x1="{x}" x2="{x}" y1="{bottom}" y2="{top}"/>'
        f'<rect x="{left}" y="{q3}" width="{width}" height="{max(1, round(q1 - q3, 1))}"'
        f' fill-opacity="0.35"/>'
        f'<line x1="{left}" x2="{right}" y1="{middle}" y2="{middle}" stroke-width="2"/></g>'
    )


def explanation(run: Run) -> str:
    """Return how to read the pictures of a run."""
    compared = any(case.measurement and case.measurement.comparison for case in run.cases)
    beside = "now beside what it is compared with" if compared else "nothing to compare with yet"
    return f"one box per launch (quartiles, median, extremes), {beside}"
