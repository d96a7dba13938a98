"""NaN or infinity in any signal: the first step, the signal, and where in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import PerSignal, Track, span


class NonFinite(PerSignal):
    """A value that is NaN or infinite, in any scalar or any component of an array."""

    id = "non_finite"
    title = "Non-finite values"
    needs = ("*",)
    always = True
    patience = 20
    remedy = (
        "Lower the learning rate, clip the gradient's norm, and look for a logarithm, a division or a square root of "
        "zero on the way to this signal; fork from a step before the first one to try."
    )

    def _follow(self, name: str, track: Track, steps: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
        finite = np.isfinite(values)
        if finite.all():
            if not track.episode.open:
                return
            bad = np.zeros(len(values), bool)
        else:
            bad = ~finite.reshape(len(values), -1).all(axis=1)
        for moment in track.episode.feed(steps, bad):
            if moment == "open":
                self._locate(name, track.episode, values[int(np.searchsorted(steps, track.episode.first))])
            yield self.finding(name, track.episode, moment)

    def _locate(self, name: str, episode: Episode, row: np.ndarray) -> None:
        parts = np.asarray(row).ravel()
        wrong = np.flatnonzero(~np.isfinite(parts))
        value = float(parts[wrong[0]])
        episode.note["what"] = "NaN" if np.isnan(value) else ("infinite" if value > 0 else "minus infinity")
        if parts.size > 1:
            names = ", ".join(self.component(name, int(i)) for i in wrong[:5]) + (", …" if len(wrong) > 5 else "")
            episode.note["where"] = f"{len(wrong)} of {parts.size} components ({names})"

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        what, where = episode.note["what"], episode.note.get("where", "")
        sentence = f"{name} became {what} at step {episode.first}"
        sentence += f", in {where}" if where else ""
        if closed:
            number = f"{episode.count} value{'s' if episode.count > 1 else ''}"
            sentence += f"; {number} {span(episode, closed)} {'were' if episode.count > 1 else 'was'} not finite."
        else:
            sentence += "." if episode.count == 1 else f"; {episode.count} values so far are not finite."
        evidence = {"what": what, "where": where, "count": episode.count}
        return sentence, evidence, "serious" if "loss" in name or "grad" in name else "warning"
