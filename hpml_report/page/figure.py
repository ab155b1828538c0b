"""A figure: Altair's chart, the rows behind it, and how it is drawn."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

INK = "currentColor"  # the page's, light or dark
ON_PAGE: Mapping[str, Any] = {
    "aria": False,  # the page names the figure, and holds its data as a table
    "background": "transparent",
    "view": {"stroke": "#8886"},
    "axis": {
        "domainColor": "#888",
        "gridColor": "#8883",
        "labelColor": INK,
        "tickColor": "#888",
        "titleColor": INK,
        "labelLimit": 0,  # names are never cut
    },
    "legend": {"labelColor": INK, "titleColor": INK, "labelLimit": 0, "symbolLimit": 0},
    "text": {"color": INK},
    "title": {"color": INK, "subtitleColor": INK},
}
ON_PAPER: Mapping[str, Any] = {
    **ON_PAGE,
    "background": "white",
    "axis": {"gridColor": "#ddd", "labelLimit": 0},
    "legend": {"labelLimit": 0, "symbolLimit": 0},
    "text": {},
    "title": {},
}
PNG_SCALE = 2


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart with a name for files, a title, and the data that it shows."""

    name: str
    title: str
    chart: Any
    rows: Sequence[Mapping[str, Any]]

    @property
    def file_name(self) -> str:
        """The name in letters that every file system takes."""
        return re.sub(r"[^A-Za-z0-9_.]+", "-", self.name).strip("-.")

    def on_page(self) -> str:
        """Return SVG to stand in the page, in the colour of its text."""
        return self._svg(ON_PAGE)

    def svg(self) -> str:
        """Return SVG for a file."""
        return self._svg(ON_PAPER)

    def png(self) -> bytes:
        """Return a picture of twice the usual resolution."""
        import vl_convert

        return bytes(vl_convert.vegalite_to_png(self._spec(ON_PAPER), scale=PNG_SCALE))

    def _svg(self, config: Mapping[str, Any]) -> str:
        import vl_convert

        return str(vl_convert.vegalite_to_svg(self._spec(config)))

    def _spec(self, config: Mapping[str, Any]) -> str:
        whole = self.chart.to_dict()
        return json.dumps({**whole, "config": {**whole.get("config", {}), **config}})
