"""Plotly figures of charts that are words: text, a language model's responses, a text with a category a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workbench.figures.chartdata import ResponsesData, TextData, TokensData
from workbench.figures.palette import tokens
from workbench.figures.plotly_parts import Style, finish, traces

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BARE = {"visible": False}
_WIDTH = 100  # characters a line


@traces.register(TextData)
def _text(_chart: TextData, _style: Style) -> list[Any]:
    return []


@finish.register(TextData)
def _finish_text(chart: TextData, fig: Figure, _style: Style) -> None:
    bare = {"visible": False}
    fig.update_layout(xaxis=bare, yaxis=bare)
    if chart.lines:
        fig.add_annotation(
            text="<br>".join(chart.lines), x=0, y=1, xref="paper", yref="paper", align="left", showarrow=False
        )


_GRADES = {"good": ("✓", "green"), "fair": ("~", "amber"), "bad": ("✗", "verm"), "": ("", "bg1")}


@traces.register(ResponsesData)
def _responses(chart: ResponsesData, style: Style) -> list[Any]:
    import plotly.graph_objects as go

    if not chart.responses:
        return []
    rewards = [
        " ".join(part for part in (_GRADES[r.grade][0], "" if r.reward is None else f"{r.reward:.3g}") if part)
        for r in chart.responses
    ]
    tints = [style.color({"token": _GRADES[r.grade][1]}, 0.14 if r.grade else 1.0) for r in chart.responses]
    columns = {
        "reward": rewards,
        "prompt": [_literal(r.prompt) for r in chart.responses],
        "response": [_marked(r.text, chart.marks) for r in chart.responses],
        "note": [_literal(r.note) for r in chart.responses],
    }
    shown = {name: values for name, values in columns.items() if name == "response" or any(values)}
    widths = {"reward": 1, "prompt": 2, "response": 7, "note": 2}
    return [
        go.Table(
            columnwidth=[widths[name] for name in shown],
            header={"values": list(shown), "align": "left", "fill": {"color": style.token("bg2")},
                    "font": {"color": style.token("ink2")}, "line": {"color": style.token("line")}},
            cells={"values": list(shown.values()), "align": "left", "fill": {"color": [tints] * len(shown)},
                   "font": {"color": style.token("ink"), "family": "monospace"},
                   "line": {"color": style.token("line")}, "height": 24},
        )
    ]  # fmt: skip


def _literal(text: str) -> str:
    """As it reads: plotly takes ``<eos>`` for a tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")


def _marked(text: str, marks: tuple[str, ...]) -> str:
    """With the marked tokens, and those in angle brackets, in bold."""
    alternatives = [r"<[^<>\s]+>", *(rf"(?<!\S){re.escape(m)}(?!\S)" for m in marks)]
    parts = re.split(f"({'|'.join(alternatives)})", text)
    return "".join(f"<b>{_literal(part)}</b>" if i % 2 else _literal(part) for i, part in enumerate(parts))


@finish.register(ResponsesData)
def _finish_responses(chart: ResponsesData, fig: Figure, _style: Style) -> None:
    where = " · ".join(t for t in ("" if chart.step is None else f"step {chart.step:,}", chart.subtitle) if t)
    fig.layout.title.subtitle.text = where
    fig.update_layout(xaxis={"visible": False}, yaxis={"visible": False})


@traces.register(TokensData)
def _tokens(chart: TokensData, style: Style) -> list[Any]:
    """Names for the legend; the text itself is an annotation."""
    import plotly.graph_objects as go

    return [
        go.Scatter(x=[None], y=[None], mode="markers", name=f"{_literal(name)}: {share:.1%}",
                   marker={"symbol": _tone(i, "square", "square-open"), "size": 10, "color": style.color({"run": i})})
        for i, (name, share) in enumerate(zip(chart.names, chart.shares, strict=True))
    ]  # fmt: skip


@finish.register(TokensData)
def _finish_tokens(chart: TokensData, fig: Figure, style: Style) -> None:
    layer = "" if chart.component is None or not chart.components else chart.components[chart.component]
    fig.layout.title.subtitle.text = " · ".join(
        t for t in (layer, "" if chart.step is None else f"step {chart.step:,}", chart.subtitle) if t
    )
    fig.update_layout(xaxis=_BARE, yaxis=_BARE, showlegend=True)
    if chart.pieces:
        fig.add_annotation(
            text=_colored(chart, style), x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="top",
            align="left", showarrow=False, font={"family": "monospace", "size": 13},
        )  # fmt: skip


def _tone(category: int, first: str, second: str) -> str:
    """The categories take the colours in turn: the first round looks one way, the second another."""
    return second if category >= 0 and category // len(tokens()["runs"]) % 2 else first


def _colored(chart: TokensData, style: Style) -> str:
    """The text in its categories' colours, broken where it breaks itself and where a line is full."""
    parts, column = [], 0
    for piece, category in zip(chart.pieces, chart.categories.astype(int).tolist(), strict=True):
        color = style.token("ink2") if category < 0 else style.color({"run": category})
        shown = _literal(piece.replace("\n", "⏎\n"))
        parts.append(f'<span style="color:{color}">{_tone(category, shown, f"<u>{shown}</u>")}</span>')
        column = len(piece) - 1 - piece.rfind("\n") if "\n" in piece else column + len(piece)
        if column >= _WIDTH:
            parts.append("<br>")
            column = 0
    return "".join(parts)
