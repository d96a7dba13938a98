"""Claims in a notebook: what the papers say, what holds here, and a button that finds out."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from workbench.cards import Card, Claim, WorkbenchError
from workbench.runs import Store
from workbench.runs.claims import Campaign, find_claims, load, results, save
from workbench.runs.claims.tables import COLUMNS, headline, rows, versions

_POLL_SECONDS = 1.0
_STYLE = """
.wb-claims{font-size:13px;line-height:1.45;border-collapse:collapse;width:100%}
.wb-claims th,.wb-claims td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;
border-bottom:1px solid var(--jp-border-color2,#c6ccd5)}
.wb-claims caption{text-align:left;padding:8px 0 4px;font-weight:600}
.wb-claims th{font-weight:500;color:var(--jp-ui-font-color2,#566070)}
.wb-claims td:nth-child(5){white-space:nowrap;font-weight:600}
.wb-claims small{color:var(--jp-ui-font-color2,#566070)}
"""


class Claims(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """A table of claims with their verdicts; `start` (or the button) runs what is missing, in the ordinary queue.

    Training goes on if the notebook closes; started again, it finds the runs that were made. Results that come with
    the workbench are shown until newer ones are there.

    Args:
        chosen: the claims, as `find_claims` returns them.
        store: where runs are looked for and made.
    """

    def __init__(self, chosen: Sequence[tuple[Card, Claim]], store: Store, **asked: Any) -> None:
        self._chosen, self._store, self._asked = list(chosen), store, asked
        self._thread: threading.Thread | None = None
        self._halt = threading.Event()
        self.results = kept(self._chosen)
        self._table = ipywidgets.HTML()
        self._button = ipywidgets.Button(description="Run", tooltip="Run what these claims need")
        self._button.on_click(lambda _: self.halt() if self.running else self.start())
        self._said = ipywidgets.HTML()
        super().__init__([ipywidgets.HBox([self._button, self._said]), self._table])
        self._draw({})

    @property
    def running(self) -> bool:
        """Whether runs are being looked after."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Claims:
        """Run what is missing, in the background; returns at once."""
        if not self.running:
            self._halt.clear()
            self._thread = threading.Thread(target=self._run, name="claims", daemon=True)
            self._thread.start()
        return self

    def halt(self) -> None:
        """Start nothing more; what trains, trains on."""
        self._halt.set()

    def wait(self, timeout: float | None = None) -> Claims:
        """Wait until all verdicts are there (or `halt`)."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self

    def save(self, folder: str | Path) -> list[Path]:
        """Keep the results as JSON, a file an experiment."""
        return save(self.results, Path(folder))

    def _run(self) -> None:
        self._button.description = "Stop"
        try:
            campaign = Campaign(self._chosen, store=self._store, **self._asked)
            try:
                while not self._halt.is_set() and not campaign.advance():
                    self._draw({(q.card.id, q.claim.id): q.progress() for q in campaign.questions})
                    self._halt.wait(_POLL_SECONDS)
            finally:
                campaign.close()
            if campaign.done:
                self.results = results(campaign)
                self._draw({})
                self._say("")
            else:
                self._say("Stopped looking; runs under way train on, and Run goes on from them.")
        except WorkbenchError as error:
            self._say(str(error))
        finally:
            self._button.description = "Run"

    def _say(self, text: str) -> None:
        self._said.value = f'<span role="status">{escape(text)}</span>'

    def _draw(self, progress: Mapping[tuple[str, str], str]) -> None:
        if progress:
            self._say(f"{sum(p == 'done' for p in progress.values())} of {len(progress)} claims done.")
        self._table.value = f"<style>{_STYLE}</style>{table(self._chosen, self.results, progress)}"

    def __repr__(self) -> str:
        lines = [f"{f['experiment']} {c['id']:<24} {c['verdict']}" for f in self.results for c in f["claims"]]
        return "\n".join(lines) or f"{len(self._chosen)} claims, none tested yet; start() runs them."


def claims(
    which: str = "all",
    *,
    seeds: int | None = None,
    jobs: int | None = None,
    quick: bool = False,
    store: Store | None = None,
) -> Claims:
    """The claims of an experiment, of a family or of all, with what came of them; ``.start()`` tests them here.

    Args:
        seeds: how many a claim (default: those it declares; fewer leave it inconclusive).
        jobs: how many runs at once.
        quick: only claims that need no runs.

    Raises:
        UnknownName: no such experiment or family.
    """
    return Claims(find_claims(which, quick=quick), store or Store.find(), seeds=seeds, jobs=jobs)


def table(
    chosen: Sequence[tuple[Card, Claim]],
    found: Sequence[Mapping[str, Any]],
    progress: Mapping[tuple[str, str], str],
) -> str:
    """The claims as HTML, a table an experiment: result and verdict where there is one, else how far it is."""
    known = {(f["experiment"], c["id"]): c for f in found for c in f["claims"]}
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in COLUMNS)
    parts = [f"<p>{escape(headline(found))}</p>"] if found else []
    for one in dict.fromkeys(c.id for c, _ in chosen):
        body = []
        for card, claim in chosen:
            if card.id == one:
                lines = _lines(known.get((one, claim.id)), claim, progress.get((one, claim.id), ""))
                body += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines]
        parts.append(
            f'<table class="wb-claims"><caption>{escape(one)}</caption><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table>"
        )
    return "".join(parts)


def _lines(kept: Mapping[str, Any] | None, claim: Claim, progress: str) -> list[list[str]]:
    from workbench.runs.claims.verdicts import in_words

    if kept is None or progress:
        rules = [in_words(c, len(claim.seeds)) for c in claim.comparisons]
        words = claim.statement + (f" [{claim.figure}]" if claim.figure else "")
        first = [words, claim.restatement, rules[0], progress or "not tested", "", ""]
        return [[escape(c) for c in row] for row in (first, *(["", "", rule, "", "", ""] for rule in rules[1:]))]
    made = [[escape(c) for c in row] for row in rows(kept)]
    where = f"{kept['date']}; {versions(kept['environment'])}"
    made[0][3] += f"<br><small>{escape(where)}</small>"
    return made


def kept(chosen: Sequence[tuple[Card, Claim]]) -> list[dict[str, Any]]:
    """The results that come with the workbench, of the chosen claims alone and only while their rules stand."""
    from workbench.runs.claims.results import declared

    rules = {(c.id, claim.id): declared(c, claim) for c, claim in chosen}
    files = []
    for one in load():
        mine = [c for c in one["claims"] if rules.get((one["experiment"], c["id"])) == c["declared"]]
        if mine:
            files.append({**one, "claims": mine})
    return files
