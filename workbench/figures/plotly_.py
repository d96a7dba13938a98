"""ChartData becomes a plotly figure: to explore and to keep, where the live chart is to watch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.figures import plotly_words  # noqa: F401  (it registers its kinds)
from workbench.figures.chartdata import (
    BarData,
    ChartData,
    GridData,
    HistogramData,
    ImageData,
    Line,
    LineData,
    Picture,
    ScatterData,
    TernaryData,
)
from workbench.figures.palette import tokens
from workbench.figures.plotly_parts import Style, finish, traces

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def figure(
    chart: ChartData,
    *,
    theme: str = "light",
    runs: Mapping[str, str] | None = None,
    findings: Iterable[Mapping[str, Any]] = (),
    interventions: Iterable[Mapping[str, Any]] = (),
) -> Figure:
    """An interactive plotly figure of the chart.

    Args:
        theme: ``light`` or ``dark``.
        runs: run id → name, put before each series' label (for charts of several runs).
        findings, interventions: as a frame lists them; drawn as tinted ranges and dotted lines on charts over steps.
    """
    import plotly.graph_objects as go

    style = Style(theme, runs or {})
    fig = go.Figure(traces(chart, style))
    small = {"text": chart.subtitle, "font": {"size": 12, "color": style.token("ink2")}}
    axis = {"gridcolor": style.token("line"), "zeroline": False, "linecolor": style.token("line")}
    fig.update_layout(
        title={"text": f"<b>{chart.title}</b>", "font": {"size": 15}, "subtitle": small},
        paper_bgcolor=style.token("bg"), plot_bgcolor=style.token("bg"),
        font={"family": tokens()["font"]["family"], "size": 12, "color": style.token("ink")},
        hovermode="x unified", barmode="group",
        xaxis={**axis, "range": list(chart.xdomain), "title": {"text": "step"}},
        yaxis={**axis, "type": chart.scale, "title": {"text": chart.unit}, **_yrange(chart)},
        margin={"l": 64, "r": 24, "t": 64, "b": 48},
    )  # fmt: skip
    if chart.empty:
        note = {"text": chart.empty, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
        fig.add_annotation(**note)
    for mark in chart.references:
        fig.add_hline(mark.value, line={"dash": "dash", "width": 1, "color": style.token("ink2")},
                      annotation={"text": mark.label, "font": {"size": 11}})  # fmt: skip
        if chart.scale == "log" and mark.value > 0:
            fig.layout.annotations[-1].y = float(np.log10(mark.value))  # plotly places notes, unlike lines, by exponent
    finish(chart, fig, style)
    if isinstance(chart, LineData):
        _annotate(fig, style, findings, interventions)
    return fig


def html(fig: Figure) -> str:
    """A page that works alone and offline: plotly.js stands inside it (about 5 MB)."""
    return str(fig.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False, "responsive": True}))


@traces.register(LineData)
def _lines(chart: LineData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    if chart.kind == "area":
        return [
            go.Scatter(
                x=chart.x.steps, y=_gapped(line.mean), name=line.label, stackgroup="whole", mode="lines",
                line={"width": 0.5, "color": style.color(line.color)}, fillcolor=style.color(line.color, 0.55),
            )
            for line in chart.series
        ]  # fmt: skip
    by_key = {line.key: line for line in chart.series}
    traces = []
    for band in chart.bands:
        below, above = by_key[band.lo], by_key[band.hi]
        traces += _between(chart.x.steps, below.mean, above.mean, style.color(below.color, 0.14))
    for line in chart.series:
        traces += _curve(chart.x.steps, line, style)
    return traces


def _curve(steps: Any, line: Line, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    alpha = 0.35 + 0.65 * line.shade
    right = {"yaxis": "y2"} if line.axis == "right" else {}
    traces = []
    if line.lo is not None and line.hi is not None:
        traces += _between(steps, line.lo, line.hi, style.color(line.color, 0.16 * alpha), **right)
    there = ~np.isnan(line.mean)  # where there is no value the line is drawn on; where it is not finite it breaks
    traces.append(
        go.Scatter(
            x=steps[there], y=_gapped(line.mean[there]), name=style.name(line.run, line.label), mode="lines",
            line={"width": 1.6, "dash": "dash" if line.dash else "solid", "color": style.color(line.color, alpha)},
            legendgroup=line.run, **right,
        )
    )  # fmt: skip
    if line.nonfinite:
        traces.append(
            go.Scatter(
                x=list(line.nonfinite), y=[_floor(line)] * len(line.nonfinite), mode="markers",
                name=f"{style.name(line.run, line.label)}: not finite", legendgroup=line.run, **right,
                marker={"symbol": "x", "size": 8, "color": style.token("verm")},
                hovertemplate="step %{x}: not finite<extra></extra>",
            )
        )  # fmt: skip
    return traces


def _floor(line: Line) -> float | None:
    """Where marks of non-finite values stand: at the lowest finite value, so that no axis is stretched for them."""
    values = line.mean if line.lo is None else line.lo
    finite = values[np.isfinite(values)]
    return float(finite.min()) if finite.size else None


def _between(steps: Any, lo: Any, hi: Any, fill: str, **axis: Any) -> list[Any]:
    import plotly.graph_objects as go

    there = np.isfinite(lo) & np.isfinite(hi)
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, **axis}
    x = steps[there]
    return [go.Scatter(x=x, y=lo[there], **edge), go.Scatter(x=x, y=hi[there], fill="tonexty", fillcolor=fill, **edge)]


def _gapped(values: Any) -> Any:
    """Plotly breaks a line at NaN."""
    return np.where(np.isfinite(values), values, np.nan)


@finish.register(LineData)
def _finish_lines(chart: LineData, fig: Figure, style: Style) -> None:
    if any(line.axis == "right" for line in chart.series):
        fig.update_layout(
            yaxis2={"overlaying": "y", "side": "right", "showgrid": False, "linecolor": style.token("line")},
            legend={"x": 1.12},
        )


@traces.register(BarData)
def _bars(chart: BarData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    return [
        go.Bar(x=list(chart.labels), y=_gapped(s.values), name=s.label, marker={"color": style.color(s.color)})
        for s in chart.series
    ]


@finish.register(BarData)
def _finish_bars(chart: BarData, fig: Figure, _style: Style) -> None:
    title = "" if chart.step is None else f"at step {chart.step:,}"
    fig.update_layout(xaxis={"range": None, "autorange": True, "title": {"text": title}})


@traces.register(HistogramData)
def _histogram(chart: HistogramData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    low, high, bins = chart.edges
    width = (high - low) / bins
    middle = low + width * (np.arange(bins) + 0.5)
    return [
        go.Bar(x=middle, y=s.counts, width=width, name=s.label, marker={"color": style.color(s.color, 0.6)})
        for s in chart.series
    ]


@finish.register(HistogramData)
def _finish_histogram(chart: HistogramData, fig: Figure, _style: Style) -> None:
    where = "" if chart.step is None else f", step {chart.step:,}"
    fig.update_layout(
        barmode="overlay",
        xaxis={"range": list(chart.edges[:2]), "title": {"text": f"{chart.unit or 'value'}{where}"}},
        yaxis={"title": {"text": "count"}},
    )


@traces.register(ScatterData)
def _scatter(chart: ScatterData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    traces = []
    for dots in chart.series:
        if dots.path_x is not None:
            way = {"width": 1, "color": style.color(dots.color, 0.35)}
            traces.append(go.Scatter(x=dots.path_x, y=dots.path_y, mode="lines", line=way, hoverinfo="skip",
                                     showlegend=False, legendgroup=dots.run))  # fmt: skip
    for dots in chart.series:
        name = ", ".join(t for t in (style.runs.get(dots.run, dots.label), dots.apart) if t)
        x, y = (f"{label}: %{{{axis}:.4~g}} {unit}" for label, axis, unit in (
            (chart.xlabel, "x", chart.xunit), (chart.ylabel, "y", chart.yunit)))  # fmt: skip
        hover = f"<b>{name}</b>%{{text}}<br>step {dots.step:,}<br>{x}<br>{y}<extra></extra>"
        marker = {"size": 9, "color": style.color(dots.color, 0.9), "line": {"width": 1, "color": style.token("bg")}}
        traces.append(go.Scatter(
            x=dots.x, y=dots.y, mode="markers", name=name, marker=marker, legendgroup=dots.run, hovertemplate=hover,
            text=[f", {label}" for label in dots.labels] or [""] * len(dots.x),
        ))  # fmt: skip
    return traces


@finish.register(ScatterData)
def _finish_scatter(chart: ScatterData, fig: Figure, _style: Style) -> None:
    def title(label: str, unit: str) -> dict[str, str]:
        return {"text": f"{label} ({unit})" if unit else label}

    fig.update_layout(hovermode="closest", yaxis={"title": title(chart.ylabel, chart.yunit)}, showlegend=True)
    fig.update_xaxes(range=None, autorange=True, title=title(chart.xlabel, chart.xunit))


@traces.register(GridData)
def _grid(chart: GridData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    if not chart.rows:
        return []
    values = _gapped(chart.values.reshape(len(chart.rows), -1))
    x = chart.x.steps if chart.x is not None else list(chart.columns)
    ends = {} if chart.vdomain is None else {"zmin": chart.vdomain[0], "zmax": chart.vdomain[1]}
    scale = style.shades(chart.vdomain, chart.center)
    return [go.Heatmap(x=x, y=list(chart.rows), z=values, colorscale=scale, **ends)]


@finish.register(GridData)
def _finish_grid(chart: GridData, fig: Figure, _style: Style) -> None:
    fig.update_layout(hovermode="closest", yaxis={"type": "category", "title": {"text": ""}})
    if chart.x is None:
        title = "" if chart.step is None else f"at step {chart.step:,}"
        fig.update_layout(xaxis={"type": "category", "range": None, "autorange": True, "title": {"text": title}})


@traces.register(TernaryData)
def _ternary(chart: TernaryData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    if not chart.values.size:
        return []
    hover = "<br>".join(f"{c}: %{{{side}:.3f}}" for c, side in zip(chart.corners, "abc", strict=True))
    a, b, c = chart.weights.reshape(-1, 3).T
    low, high = chart.vdomain or (None, None)
    bar = {"title": {"text": f"{chart.vlabel} ({chart.unit})" if chart.unit else chart.vlabel}}
    marker = {"size": 10, "color": chart.values, "cmin": low, "cmax": high, "colorscale": style.shades(),
              "colorbar": bar, "line": {"width": 0}}  # fmt: skip
    value = f"<br>{chart.vlabel}: %{{marker.color:.4~g}} {chart.unit}<extra></extra>"
    points = go.Scatterternary(a=a, b=b, c=c, mode="markers", marker=marker, showlegend=False,
                               hovertemplate=hover + value)  # fmt: skip
    rings = [
        go.Scatterternary(
            a=[p.at[0]], b=[p.at[1]], c=[p.at[2]], mode="markers", name=style.runs.get(p.run, p.label),
            marker={"size": 15, "symbol": "circle-open", "color": style.color(p.color), "line": {"width": 3}},
            hovertemplate=f"<b>{p.label}</b><br>{hover}<extra></extra>",
        )
        for p in chart.series
    ]  # fmt: skip
    return [points, *rings]


@finish.register(TernaryData)
def _finish_ternary(chart: TernaryData, fig: Figure, style: Style) -> None:
    side = {"gridcolor": style.token("line"), "linecolor": style.token("line_strong"), "tickformat": ".0%"}
    axes = {
        f"{name}axis": {**side, "title": {"text": corner}} for name, corner in zip("abc", chart.corners, strict=False)
    }
    fig.update_layout(
        hovermode="closest", ternary={"sum": 1, "bgcolor": style.token("bg"), **axes}, legend={"x": 0, "y": 1},
        xaxis={"visible": False}, yaxis={"visible": False},
    )  # fmt: skip


@traces.register(ImageData)
def _images(chart: ImageData, _style: Style) -> list[Any]:
    import plotly.graph_objects as go

    columns = min(len(chart.images), 8)
    return [
        go.Image(z=_rgb_pixels(picture), name=picture.label, x0=(i % columns) * (picture.width + 4),
                 y0=(i // columns) * (picture.height + 12),
                 hovertemplate=f"{picture.caption or picture.label}<extra></extra>",
        )
        for i, picture in enumerate(chart.images)
    ]  # fmt: skip


def _rgb_pixels(picture: Picture) -> Any:
    pixels = np.round(picture.data * 255).astype(np.uint8).reshape(picture.height, picture.width, picture.channels)
    return np.repeat(pixels, 3, axis=2) if picture.channels == 1 else pixels


@finish.register(ImageData)
def _finish_images(chart: ImageData, fig: Figure, _style: Style) -> None:
    bare = {"visible": False, "autorange": True, "range": None}
    fig.update_layout(hovermode="closest", xaxis=bare, yaxis={**bare, "autorange": "reversed", "scaleanchor": "x"})
    columns = min(len(chart.images), 8) or 1
    for i, picture in enumerate(chart.images):
        fig.add_annotation(
            x=(i % columns) * (picture.width + 4) + picture.width / 2, showarrow=False, font={"size": 10},
            y=(i // columns) * (picture.height + 12) + picture.height + 5, text=picture.caption or picture.label,
        )  # fmt: skip


def _yrange(chart: ChartData) -> dict[str, Any]:
    if chart.ydomain is None:
        return {}
    low, high = chart.ydomain
    if chart.scale == "log":
        return {"range": [float(np.log10(low)), float(np.log10(high))]} if low > 0 else {}
    return {"range": [low, high]}


def _annotate(
    fig: Figure, style: Style, findings: Iterable[Mapping[str, Any]], interventions: Iterable[Mapping[str, Any]]
) -> None:
    right = fig.layout.xaxis.range[1]
    for i, finding in enumerate(findings):
        last = right if finding["last"] is None else finding["last"]
        label = {"text": finding["title"], "font": {"size": 10, "color": style.token("text_find")}, "yshift": -13 * i}
        fig.add_vrect(finding["first"], last, fillcolor=style.token("find"), line_width=0, layer="below",
                      annotation=label, annotation_position="top left")  # fmt: skip
    for done in interventions:
        if done["step"] is not None and done["outcome"] == "applied":
            fig.add_vline(done["step"], line={"dash": "dot", "width": 1, "color": style.token("ink2")})
