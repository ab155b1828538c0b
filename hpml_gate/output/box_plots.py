"""Pictures of what was judged: now beside its baseline, one small SVG per case.

A box per launch (quartiles, median, whiskers to the extremes), because how far launches lie apart
is what a verdict rests on. Written by hand: a plotting library's SVG is ten times as large, and a
run has one for each case.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from hpml_gate.files import write_whole
from hpml_gate.judge.verdict import Verdict
from hpml_gate.measure.samples import launch_medians

WIDTH, HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 90, 150, 60, 40  # margins in pixels
MOST_BOXES = 20  # of each side, the newest: more cannot be told apart
BASELINE, NOW, LIMIT = "#8a8a8a", "#3f6fd1", "#c0392b"
UNITS = ((1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s"))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Turns nanoseconds into heights, and into numbers for people."""

    lowest_ns: float
    highest_ns: float

    @classmethod
    def over(cls, times_ns: Sequence[float]) -> "Scale":
        """Leave a twentieth of the range free at either end."""
        pad = 0.05 * (max(times_ns) - min(times_ns)) or 0.05 * max(times_ns)
        return cls(lowest_ns=min(times_ns) - pad, highest_ns=max(times_ns) + pad)

    def y(self, ns: float) -> float:
        """Return the height in pixels from the top."""
        share = (ns - self.lowest_ns) / (self.highest_ns - self.lowest_ns)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def text(self, ns: float) -> str:
        """Write a time in the unit that suits the largest."""
        factor, unit = max(one for one in UNITS if one[0] <= max(1.0, self.highest_ns))
        return f"{ns / factor:.4g} {unit}"


def draw_comparison(
    verdict: Verdict,
    now: Sequence[Sequence[float]],
    baseline: Sequence[Sequence[float]],
    folder: Path,
) -> Path:
    """Draw one judged case, both sides given as launches x blocks, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', verdict.case_id)}.svg"
    write_whole(target, "\n".join(_picture(verdict, now, baseline)))
    return target


def _picture(
    verdict: Verdict, now: Sequence[Sequence[float]], baseline: Sequence[Sequence[float]]
) -> Iterator[str]:
    now, baseline = now[-MOST_BOXES:], baseline[-MOST_BOXES:]
    usual_ns = float(np.exp(np.log(launch_medians(baseline)).mean()))
    limit_ns = usual_ns * (1 + verdict.margin)
    scale = Scale.over([limit_ns, *(ns for launch in [*baseline, *now] for ns in launch)])
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield ' font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
    yield f'<text x="{LEFT}" y="22" font-weight="bold">{escape(verdict.case_id)}</text>'
    yield f'<text x="{LEFT}" y="42">{escape(f"{verdict.status}: {verdict}")}</text>'
    yield from _grid(scale)
    yield _line(scale.y(usual_ns), BASELINE, verdict.against, below=True)
    yield _line(scale.y(limit_ns), LIMIT, f"{verdict.against} + {verdict.margin:.0%}")
    yield from _boxes(scale, verdict.against, baseline, now)
    yield "</svg>"


def _grid(scale: Scale) -> Iterator[str]:
    for ns in np.linspace(scale.lowest_ns, scale.highest_ns, 7)[1:-1]:
        y = scale.y(ns)
        yield _line(y, "#e4e4e4")
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{scale.text(ns)}</text>'


def _line(y: float, colour: str, label: str = "", *, below: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if label else ""
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="{colour}"{dashes}/>'
    text_y = round(y + (12 if below else -2), 1)  # two lines may lie close together
    return f'{line}<text x="{WIDTH - RIGHT + 6}" y="{text_y}" fill="{colour}">{label}</text>'


def _boxes(
    scale: Scale,
    against: str,
    baseline: Sequence[Sequence[float]],
    now: Sequence[Sequence[float]],
) -> Iterator[str]:
    sides = [BASELINE] * len(baseline) + [NOW] * len(now)
    step = (WIDTH - LEFT - RIGHT) / len(sides)
    for index, (colour, launch) in enumerate(zip(sides, [*baseline, *now], strict=True)):
        x = round(LEFT + step * (index + 0.5), 1)
        yield _box(x, round(step / 2, 1), launch, colour, scale)
    for name, first, count in (
        (against, 0, len(baseline)),
        ("now", len(baseline), len(now)),
    ):
        x = round(LEFT + step * (first + count / 2), 1)
        label = f"{name}: {count} launches"
        yield f'<text x="{x}" y="{HEIGHT - 18}" text-anchor="middle">{label}</text>'


def _box(x: float, width: float, launch: Sequence[float], colour: str, scale: Scale) -> str:
    bottom, q1, median, q3, top = (
        scale.y(ns) for ns in np.percentile(launch, [0, 25, 50, 75, 100])
    )
    left, right = round(x - width / 2, 1), round(x + width / 2, 1)
    return (
        f'<g stroke="{colour}" fill="{colour}">'
        f'<line x1="{x}" x2="{x}" y1="{bottom}" y2="{top}"/>'
        f'<rect x="{left}" y="{q3}" width="{width}" height="{max(1, round(q1 - q3, 1))}"'
        f' fill-opacity="0.35"/>'
        f'<line x1="{left}" x2="{right}" y1="{median}" y2="{median}" stroke-width="2"/></g>'
    )
