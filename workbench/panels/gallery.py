"""The gallery: each installed experiment with a picture of its phenomenon, its remedy, paper and claims' verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from workbench.cards import Card, card, experiments
from workbench.panels.claims import kept
from workbench.runs.claims.verdicts import VERDICTS

_STYLE = """
.wb-gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:12px;font-size:13px;line-height:1.45}
.wb-gallery article{border:1px solid var(--jp-border-color2,#c6ccd5);border-radius:8px;padding:12px 14px}
.wb-gallery h3{font-size:14px;margin:0}
.wb-gallery code{font-size:11.5px;color:var(--jp-ui-font-color2,#566070)}
.wb-gallery dl{margin:8px 0 0;display:grid;grid-template-columns:auto 1fr;gap:2px 10px}
.wb-gallery dt{color:var(--jp-ui-font-color2,#566070)}
.wb-gallery dd{margin:0}
.wb-gallery details{margin:8px 0 0;color:var(--jp-ui-font-color2,#566070)}
.wb-gallery summary{cursor:pointer}
.wb-gallery p{margin:6px 0 0}
[data-jp-theme-light="false"] .wb-gallery{--wb-run0:#4fa8dc;--wb-run1:#ff8a4a}
.wb-gallery svg{display:block;width:100%;margin:8px 0 0}
"""


class Gallery:
    """The experiments as cards on a page; needs no kernel once shown.

    Args:
        cards: the experiments, in the order shown.
    """

    def __init__(self, cards: list[Card]) -> None:
        self.cards = cards

    def __repr__(self) -> str:
        return "\n".join(f"{c.id:<28} {c.phenomenon}" for c in self.cards) or "No experiment is installed."

    def _repr_html_(self) -> str:
        body = "".join(_article(c) for c in self.cards) or "<p>No experiment is installed.</p>"
        return f'<style>{_STYLE}</style><section class="wb-gallery" aria-label="Experiments">{body}</section>'


def gallery(family: str | None = None) -> Gallery:
    """Every installed experiment (of one family): what goes wrong, what mends it, the paper, how to open it."""
    cards = [card(name) for name in experiments()]
    return Gallery([c for c in cards if family in (None, c.family)])


def _article(found: Card) -> str:
    paper = found.paper
    source = escape(f"{paper.title} ({paper.venue} {paper.year})")
    if paper.url:
        source = f'<a href="{escape(paper.url, quote=True)}" target="_blank" rel="noopener">{source}</a>'
    verdicts, tested = _verdicts(found)
    rows = [
        ("Phenomenon", escape(found.phenomenon)),
        ("Remedy", escape(found.remedy)),
        ("Paper", source),
        ("Method", f"Reconstruction: {escape(found.reconstruction)}" if found.reconstruction else "Exact"),
        ("Claims", escape(verdicts)),
    ]
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)
    said = _folded("Claims one by one", tested) + _folded("Before you believe a chart", found.notes)
    return (
        f"<article><h3>{escape(found.title)}</h3>"
        f'<code>workbench.open("{escape(found.id)}")</code>{_picture(found)}<dl>{items}</dl>{said}</article>'
    )


def _picture(found: Card) -> str:
    """The method's `gallery.svg`, drawn from a recorded run (`make gallery`); nothing where none was made."""
    try:
        return files(found.package).joinpath("gallery.svg").read_text(encoding="utf-8") if found.package else ""
    except FileNotFoundError:
        return ""


def _verdicts(found: Card) -> tuple[str, list[str]]:
    """How many claims had which verdict, and each restatement with its own; what was not run is "not tested"."""
    known = {c["id"]: c["verdict"] for f in kept([(found, c) for c in found.claims]) for c in f["claims"]}
    each = [(claim.restatement, known.get(claim.id, "not tested")) for claim in found.claims]
    counts = {verdict: sum(v == verdict for _, v in each) for verdict in (*VERDICTS, "not tested")}
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    return words or "none declared", [f"{restatement} – {verdict}" for restatement, verdict in each]


def _folded(title: str, lines: Sequence[str]) -> str:
    body = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f"<details><summary>{title}</summary>{body}</details>" if lines else ""
