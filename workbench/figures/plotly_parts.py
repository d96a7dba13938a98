"""What all plotly figures share: a theme's colours, and the two functions that each kind of chart registers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from workbench.figures.chartdata import ChartData
from workbench.figures.palette import resolve, tokens

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Style:
    """How a figure looks."""

    theme: str
    runs: Mapping[str, str]  # run id → name for legends; empty: series labels alone

    def color(self, color: Mapping[str, int | str], alpha: float = 1.0) -> str:
        """A series' colour, see-through below 1."""
        red, green, blue = _rgb(resolve(color, self.theme))
        return f"rgba({red},{green},{blue},{alpha:g})"

    def token(self, name: str) -> str:
        """The colour of a design token."""
        return str(tokens()[self.theme][name])

    def name(self, run: str, label: str) -> str:
        """A series' name in a legend."""
        return f"{self.runs[run]} · {label}" if run in self.runs and label != self.runs[run] else label

    def shades(self, ends: tuple[float, float] | None = None, center: float | None = None) -> list[tuple[float, str]]:
        """Plotly's colour scale: from light to dark, or from a neutral `center` between the `ends` to two sides."""
        if ends is None or center is None or not ends[0] < center < ends[1]:
            return [(0.0, self.token("bg1")), (1.0, self.token("blue"))]
        middle = (center - ends[0]) / (ends[1] - ends[0])
        return [(0.0, self.token("blue")), (middle, self.token("bg1")), (1.0, self.token("verm"))]


@singledispatch
def traces(chart: ChartData, style: Style) -> list[Any]:
    """What a kind of chart draws."""
    raise NotImplementedError(type(chart).__name__)


@singledispatch
def finish(chart: ChartData, fig: Figure, style: Style) -> None:
    """What a kind of chart changes in the layout."""


def _rgb(color: str) -> tuple[int, int, int]:
    text = color.lstrip("#")
    text = "".join(c * 2 for c in text) if len(text) == 3 else text
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)
