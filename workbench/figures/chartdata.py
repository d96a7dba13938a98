"""ChartData: one chart as plain arrays and words, the same for the live panel and for plotly.

Arrays are float64 here and travel as float32. In them NaN means *no value in this bucket* (a sparser series; the line
is drawn on) and +Infinity *only non-finite values in this bucket* (a gap).
"""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Color = dict[str, int | str]  # {"run": palette index} or {"token": design token}

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Mark:
    """A horizontal reference line."""

    value: float
    label: str


@dataclass(frozen=True)
class Axis:
    """The shared x of a chart: step = `base` + `at` (float32 alone is exact only up to step 16,777,216)."""

    at: Array
    base: float

    @property
    def steps(self) -> Array:
        """Steps at the middle of each bucket, shape (n,)."""
        return self.at + self.base


@dataclass(frozen=True)
class Line:
    """One curve on the chart's grid: mean a bucket, and its extremes when buckets hold several values."""

    key: str
    run: str
    label: str
    signal: str
    color: Color
    mean: Array
    lo: Array | None = None
    hi: Array | None = None
    shade: float = 1.0
    dash: bool = False
    axis: str = "left"
    gaps: bool = False
    nonfinite: tuple[int, ...] = ()


@dataclass(frozen=True)
class Band:
    """The space between two curves, by their keys."""

    lo: str
    hi: str
    run: str


@dataclass(frozen=True)
class Bars:
    """One group of bars: a value for each label of the chart; NaN where there is none."""

    key: str
    run: str
    label: str
    color: Color
    values: Array


@dataclass(frozen=True)
class Counts:
    """One histogram: a count for each of the chart's bins."""

    key: str
    run: str
    label: str
    color: Color
    counts: Array


@dataclass(frozen=True)
class Dots:
    """A run's dots: one, or one a component of its vectors; `labels` names those.

    Attributes:
        step: of the newer of both values.
        apart: what sets the run apart from others of its label.
        path_x, path_y: the way to the dot; None: not asked for.
    """

    key: str
    run: str
    label: str
    color: Color
    x: Array
    y: Array
    step: int
    labels: tuple[str, ...] = ()
    apart: str = ""
    path_x: Array | None = None
    path_y: Array | None = None


@dataclass(frozen=True)
class Picture:
    """One image, row by row, channels last, in [0, 1]."""

    label: str
    caption: str
    width: int
    height: int
    channels: int
    data: Array


@dataclass(frozen=True, kw_only=True)
class ChartData:
    """What every chart has; the subclasses add what their kind draws.

    Attributes:
        empty: why there is nothing to draw yet, in words; None: there is something.
        xdomain: first and last step of the x axis (for charts without one: of the runs).
        ydomain: fixed ends of the y axis; None: as the data needs.
        component, run, step: what is shown where the view shows one component, run or step.
        components: names of those that can be chosen; empty: there is no choice.
    """

    id: str
    kind: str
    title: str
    subtitle: str = ""
    unit: str = ""
    scale: str = "linear"
    empty: str | None = None
    xdomain: tuple[float, float] = (0.0, 1.0)
    ydomain: tuple[float, float] | None = None
    references: tuple[Mark, ...] = ()
    component: int | None = None
    components: tuple[str, ...] = ()
    run: str | None = None
    step: int | None = None
    note: str | None = None

    def encode(self) -> Encoded:
        """Head and float32 data of this chart; equal content gives an equal `version`."""
        packer = _Packer()
        head = packer.plain(self)
        data = b"".join(packer.parts)
        head["version"] = zlib.crc32(data, zlib.crc32(json.dumps(head, allow_nan=False).encode()))
        return Encoded(head, data, packer.slots)


@dataclass(frozen=True, kw_only=True)
class LineData(ChartData):
    """Lines with bands, or (kind ``area``) parts of a whole stacked from the first series up."""

    x: Axis
    series: tuple[Line, ...] = ()
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BarData(ChartData):
    """Grouped bars at one step."""

    labels: tuple[str, ...] = ()
    series: tuple[Bars, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HistogramData(ChartData):
    """Counts in `edges` = (low, high, bins) equal bins at one step."""

    edges: tuple[float, float, int] = (0.0, 1.0, 1)
    series: tuple[Counts, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScatterData(ChartData):
    """Dots of one signal (x, linear) against another (y: `scale`, `ydomain`); `xdomain` stays that of the steps."""

    xlabel: str = ""
    xunit: str = ""
    ylabel: str = ""
    yunit: str = ""
    series: tuple[Dots, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GridData(ChartData):
    """A heat map (components over steps) or a matrix at one step; `values` row by row, shape (rows × columns,).

    `center` is the neutral value, from which the colours of `vdomain` part to two sides; None: they go one way.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    x: Axis | None = None
    values: Array = field(default_factory=lambda: np.empty(0))
    vdomain: tuple[float, float] | None = None
    center: float | None = None


@dataclass(frozen=True)
class Place:
    """Where a run lies in a ternary map: three weights that sum to 1."""

    key: str
    run: str
    label: str
    color: Color
    at: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class TernaryData(ChartData):
    """A value for each mixture of three, with the runs' own places.

    Attributes:
        corners, vlabel: names of the three that are mixed, and of the value.
        weights: three a point, one point after another, shape (3 × points,).
        values: shape (points,); vdomain: ends of their colours.
    """

    corners: tuple[str, ...] = ()
    vlabel: str = ""
    weights: Array = field(default_factory=lambda: np.empty(0))
    values: Array = field(default_factory=lambda: np.empty(0))
    vdomain: tuple[float, float] | None = None
    series: tuple[Place, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageData(ChartData):
    """Pictures at one step."""

    images: tuple[Picture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TextData(ChartData):
    """Lines of text at one step."""

    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """One response of a language model. `grade`: ``good``, ``fair`` or ``bad`` by its reward, empty without one."""

    prompt: str
    text: str
    reward: float | None = None
    note: str = ""
    grade: str = ""


@dataclass(frozen=True, kw_only=True)
class ResponsesData(ChartData):
    """What one run's model answered at one step.

    Attributes:
        marks: tokens to set apart.
        held: a step was asked for; else the newest is followed.
        earlier, later, newest: kept steps beside this one, and the last; None: there is none.
    """

    responses: tuple[Response, ...] = ()
    marks: tuple[str, ...] = ()
    held: bool = False
    earlier: int | None = None
    later: int | None = None
    newest: int | None = None


@dataclass(frozen=True, kw_only=True)
class TokensData(ChartData):
    """A stretch of text with a category for each token, at one step and of one layer (`component`).

    Attributes:
        pieces: the tokens as they read.
        categories: the number of each one's category, shape (tokens,); -1: none.
        names, shares: of the categories: what they are called, what part of all tokens has them.
    """

    pieces: tuple[str, ...] = ()
    categories: Array = field(default_factory=lambda: np.empty(0))
    names: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()


@dataclass
class Encoded:
    """A chart ready to travel: JSON head, float32 bytes, and where the head points into them."""

    head: dict[str, Any]
    data: bytes
    slots: list[tuple[list[int], int]]

    def at(self, offset: int) -> dict[str, Any]:
        """The head with its offsets counted from `offset` (in float32 elements) of a frame's buffer."""
        for slot, own in self.slots:
            slot[0] = own + offset
        return self.head


def join(charts: Iterable[Encoded]) -> tuple[list[dict[str, Any]], bytes]:
    """The heads of several charts over one buffer."""
    heads, parts, offset = [], [], 0
    for chart in charts:
        heads.append(chart.at(offset))
        parts.append(chart.data)
        offset += len(chart.data) // 4
    return heads, b"".join(parts)


class _Packer:
    """Turns dataclasses into plain JSON data, arrays into [offset, length] of the float32 parts it gathers."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.slots: list[tuple[list[int], int]] = []
        self.offset = 0

    def plain(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if dataclasses.is_dataclass(value):
            return {f.name: self.plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, tuple | list):
            return [self.plain(v) for v in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    def _array(self, values: NDArray[Any]) -> list[int]:
        finite = np.clip(values, -_LARGEST, _LARGEST)  # beyond float32's range, not beyond counting: NaN stays NaN
        narrow = np.where(np.isinf(values), np.inf, finite).astype("<f4")
        slot = [self.offset, narrow.size]
        self.slots.append((slot, self.offset))
        self.parts.append(narrow.tobytes())
        self.offset += narrow.size
        return slot


_KINDS: dict[str, type[ChartData]] = {
    "line": LineData, "area": LineData, "bars": BarData, "histogram": HistogramData, "heatmap": GridData,
    "matrix": GridData, "scatter": ScatterData, "ternary": TernaryData, "image": ImageData, "text": TextData,
    "responses": ResponsesData, "tokens": TokensData,
}  # fmt: skip
_PARTS: dict[type[ChartData], type] = {
    LineData: Line, BarData: Bars, HistogramData: Counts, ScatterData: Dots, TernaryData: Place,
}  # fmt: skip
_ARRAYS = ("mean", "lo", "hi", "values", "counts", "data", "x", "y", "path_x", "path_y", "weights", "categories")


def decode(head: dict[str, Any], buffer: bytes) -> ChartData:
    """The chart that `encode` wrote, in float32's precision: for tests, exports and readers of stored frames."""
    numbers = np.frombuffer(buffer, "<f4").astype(np.float64)

    def array(slot: list[int] | None) -> Any:
        return None if slot is None else numbers[slot[0] : slot[0] + slot[1]]

    def part(cls: type, data: dict[str, Any]) -> Any:
        values = {k: array(v) if k in _ARRAYS else tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)

    cls: Any = _KINDS[head["kind"]]
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in head.items() if k != "version"}
    values["references"] = tuple(Mark(**m) for m in head["references"])
    if "series" in head:
        values["series"] = tuple(part(_PARTS[cls], s) for s in head["series"])
    if "bands" in head:
        values["bands"] = tuple(Band(**b) for b in head["bands"])
    if head.get("x"):
        values["x"] = Axis(array(head["x"]["at"]), head["x"]["base"])
    if "images" in head:
        values["images"] = tuple(part(Picture, p) for p in head["images"])
    if "responses" in head:
        values["responses"] = tuple(part(Response, r) for r in head["responses"])
    values |= {k: array(head[k]) for k in ("values", "weights", "categories") if k in head}
    chart: ChartData = cls(**values)
    return chart
