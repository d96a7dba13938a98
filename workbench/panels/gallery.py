"""The gallery: every installed experiment with its phenomenon, its remedy, its paper and what is a reconstruction."""

from __future__ import annotations

from html import escape

from workbench.cards import Card, card, experiments

_STYLE = """
.wb-gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:12px;font-size:13px;line-height:1.45}
.wb-gallery article{border:1px solid var(--jp-border-color2,#c6ccd5);border-radius:8px;padding:12px 14px}
.wb-gallery h3{font-size:14px;margin:0}
.wb-gallery code{font-size:11.5px;color:var(--jp-ui-font-color2,#566070)}
.wb-gallery dl{margin:8px 0 0;display:grid;grid-template-columns:auto 1fr;gap:2px 10px}
.wb-gallery dt{color:var(--jp-ui-font-color2,#566070)}
.wb-gallery dd{margin:0}
.wb-gallery p{margin:8px 0 0;color:var(--jp-ui-font-color2,#566070)}
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
    rows = [
        ("Phenomenon", escape(found.phenomenon)),
        ("Remedy", escape(found.remedy)),
        ("Paper", source),
        ("Arms", escape(", ".join(a.label for a in found.arms))),
    ]
    if found.reconstruction:
        rows.append(("Reconstruction", escape(found.reconstruction)))
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    return (
        f"<article><h3>{escape(found.title)}</h3>"
        f'<code>workbench.open("{escape(found.id)}")</code><dl>{items}</dl>{notes}</article>'
    )
