"""The roofline picture: what kernels reach, under the limits measured with them in one run.

After S. Williams, A. Waterman, D. Patterson, Communications of the ACM 52(4), 2009. A kernel stands
at its operations per byte and its operations per second; beside it stands how far every kernel,
those without arithmetic or without memory traffic too, is from its own limit.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpml_kernels.roofline.rows import Group, Row

COLOURS: dict[Group, str] = {"one core": "#3f6fd1", "all cores": "#c0392b", "cuda": "#2e8b57"}
BANDWIDTHS = {"read", "copy", "combine", "accumulate"}


def draw(rows: Sequence[Row], target: Path) -> None:
    """Draw each kernel's fastest variant of ours, by group, in the format ``target`` ends in."""
    from matplotlib.figure import Figure

    best = _best(rows)
    figure = Figure(figsize=(13, max(5.5, 0.28 * len(best))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_roofline(left, best, [row for row in rows if row.limit_ns is not None])
    _draw_shares(right, [row for row in best if row.ratio_to_limit is not None])
    figure.draw_without_rendering()  # names are put by what is drawn already, in its last place
    figure.set_layout_engine("none")
    _name(left, [row for row in best if row.flops and row.bytes_moved])
    figure.savefig(target)


def _best(rows: Sequence[Row]) -> list[Row]:
    ours: dict[tuple[str, Group], Row] = {}
    for row in sorted((row for row in rows if not row.is_peer), key=lambda row: -row.call_ns):
        ours[row.kernel, row.group] = row  # the fastest comes last
    return sorted(ours.values(), key=lambda row: (row.kernel, row.group == "all cores"))


def _draw_roofline(axes: Any, best: Sequence[Row], rows: Sequence[Row]) -> None:
    placed = [row for row in best if row.flops and row.bytes_moved]
    at = [row.flops / row.bytes_moved for row in placed] or [1.0]
    edges = np.array([min(at) / 2, max(16.0, *at) * 4])
    for group, colour in COLOURS.items():
        _draw_roofs(axes, [row for row in rows if row.group == group], edges, colour)
        shown = [row for row in placed if row.group == group]
        axes.plot(
            [row.flops / row.bytes_moved for row in shown],
            [row.flops / row.call_ns for row in shown],
            "o",
            color=colour,
            label=f"{group}: {len(shown)} kernels" if shown else None,
        )
    axes.set(xscale="log", yscale="log", xlim=edges, title="Roofline")
    axes.set(xlabel="operations per byte", ylabel="GFLOP/s")
    axes.grid(visible=True, which="major", color="#e4e4e4")
    if placed:
        axes.legend(loc="lower right", frameon=False, fontsize=8)


def _draw_roofs(axes: Any, rows: Sequence[Row], edges: Any, colour: str) -> None:
    """Draw the fastest and the slowest bandwidth as slopes, up to the rate of arithmetic.

    Which is which depends on the sizes: caches are faster than memory.
    """
    rates = [_at_limit(row, row.flops) for row in rows if row.limit == "fma"]
    ceiling = max(rates, default=np.inf)
    text = [f"fma {ceiling:.0f} GFLOP/s"] if rates else []
    along = np.geomspace(edges[0], edges[1], 200)
    limited = sorted((row for row in rows if row.limit in BANDWIDTHS), key=_bandwidth)
    ends = limited[:1] + limited[-1:] if len({row.kernel for row in limited}) > 1 else limited[:1]
    for row in ends:
        axes.plot(along, np.minimum(along * _bandwidth(row), ceiling), color=colour, lw=0.8)
        size = f"{row.bytes_moved / 1e6:.3g} MB"
        text.append(f"{row.limit} {_bandwidth(row):.0f} GB/s over {size}")
    if rates:
        axes.axhline(ceiling, color=colour, lw=1.2)
    if text:
        axes.plot([], [], color=colour, lw=1.2, label="\n".join(text))


def _bandwidth(row: Row) -> float:
    """Return the bandwidth of a kernel's limit in GB/s."""
    return _at_limit(row, row.bytes_moved)


def _at_limit(row: Row, work: int) -> float:
    """Return the rate of a kernel's work at its limit, in units a nanosecond; 0: not known."""
    return work / row.limit_ns if row.limit_ns else 0.0


def _name(axes: Any, placed: Sequence[Row]) -> None:
    """Write each kernel's name once, beside its highest point, and clear of the others."""
    highest = {
        row.kernel: (row.flops / row.bytes_moved, row.flops / row.call_ns)
        for row in sorted(placed, key=lambda row: -row.call_ns)
    }
    from matplotlib.transforms import Bbox

    points = axes.transData.transform(list(highest.values()) or np.empty((0, 2)))
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in points]
    for kernel, at in highest.items():
        name = axes.annotate(
            kernel,
            at,
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "#888888"},
        )
        taken.append(_put_clear(name, taken))


def _put_clear(name: Any, taken: Sequence[Any]) -> Any:
    """Move a name out in circles until it covers none of the others; return the place it takes."""
    from matplotlib.text import Text

    for distance in range(14, 140, 8):
        for angle in np.linspace(0.5, 2.5, 12) * np.pi:  # upwards first, clockwise last
            name.xyann = (1.6 * distance * np.cos(angle), distance * np.sin(angle))
            name.get_window_extent()  # puts the name where it was moved
            place = Text.get_window_extent(name)  # without the line that leads to the point
            if not any(place.overlaps(other) for other in taken):
                return place
    return place


def _draw_shares(axes: Any, best: Sequence[Row]) -> None:
    places, ratios = np.arange(len(best))[::-1], [row.ratio_to_limit or 0.0 for row in best]
    axes.barh(places, ratios, color=[COLOURS[row.group] for row in best])
    labels = [f"{row.kernel} ({row.limit}, {row.group})" for row in best]
    axes.set_yticks(places, labels, fontsize=8)
    axes.axvline(1, color="#444444", lw=1, ls="--")
    axes.set(title="Share of the kernel's own limit", xlabel="ratio_to_limit")
    for place, ratio in zip(places, ratios, strict=True):
        axes.annotate(
            f"{ratio:.2f}",
            (ratio, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox={"color": "white", "pad": 0.5},
        )
    axes.set_xlim(0, 1.15 * max(1.0, *ratios))
