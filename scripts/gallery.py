"""`make gallery`: draw a small picture of each phenomenon from its recorded journal, for the gallery.

Reads tests/golden/journals/<family>__<method>.npz (real runs, see scripts/record.py) and writes ``gallery.svg`` into
the method's folder: the signal in which the card's first detector that fires on the phenomenon's arm sees it, in
that arm and in the remedy's, and above it the steps of its findings.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from workbench.cards import Card, View, WorkbenchError, card, experiments
from workbench.cards.findings import Finding
from workbench.detectors import load, scan
from workbench.figures.palette import tokens

JOURNALS = Path(__file__).parents[1] / "tests" / "golden" / "journals"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 320, 160, 38, 8, 46, 18
BUCKETS = 64
XMLNS = "http://www.w3.org/2000/svg"
Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # arm → steps (n,), values (n, components)


class NoPicture(WorkbenchError):
    """A journal in which no detector sees the phenomenon has no picture of it."""


def main() -> int:
    """Draw the experiments named on the command line (none: all that were recorded)."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("experiment", nargs="*")
    for name in options.parse_args().experiment or experiments():
        path = journal(name)
        if not path.exists():
            print(f"{name}: not recorded yet (make record)")
            continue
        where = Path(str(files(card(name).package))) / "gallery.svg"
        where.write_text(picture(card(name), path), encoding="utf-8")
        print(f"{where} {where.stat().st_size / 1024:.1f} kB")
    return 0


def journal(experiment: str) -> Path:
    """Where `make record` keeps an experiment's journal."""
    return JOURNALS / f"{experiment.replace('/', '__')}.npz"


def picture(found: Card, path: Path) -> str:
    """The SVG of a recorded journal. `NoPicture` if nothing was found on the phenomenon's arm."""
    every = found.preset("tour").arms
    pair = [next((a for a in every if found.arm(a).role == role), None) for role in ("phenomenon", "remedy")]
    arms = [arm for arm in pair if arm] or list(every[:2])
    columns = {arm: _columns(path, arm) for arm in arms}
    findings, signal = _seen(found, columns[arms[0]])
    curves = {
        arm: _thin(*columns[arm][signal]) for arm in arms if signal in columns[arm] and len(columns[arm][signal][0]) > 1
    }
    return _svg(found, curves, findings, signal)


def _columns(path: Path, arm: str) -> Curves:
    with np.load(path) as recorded:
        names = [n.removeprefix(f"{arm}.") for n in recorded.files if n.startswith(f"{arm}.") and n[-6:] != ".steps"]
        return {n: (recorded[f"{arm}.{n}.steps"], recorded[f"{arm}.{n}"]) for n in names}


def _seen(found: Card, columns: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[list[Finding], str]:
    """The findings to show, and the signal: of the first detector in the card's order whose signal is a curve."""
    order = [d.id for d in load(found)]
    findings = sorted(scan(columns, load(found)), key=lambda f: (order.index(f.id), f.first))
    for finding in findings:
        for name in finding.signals:
            signal = found.signal(name)
            if name in columns and signal is not None and signal.shape in ("scalar", "vector"):
                return [f for f in findings if f.id == finding.id], name
    raise NoPicture(f"No detector of {found.id} fires on its recorded phenomenon: record it anew (make record).")


def _thin(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of at most 64 buckets of consecutive values."""
    flat = np.asarray(values, np.float64).reshape(len(steps), -1)
    parts = min(len(steps), BUCKETS)
    return (
        np.array([s.mean() for s in np.array_split(steps.astype(np.float64), parts)]),
        np.array([v.mean(axis=0) for v in np.array_split(flat, parts)]),
    )


def _svg(found: Card, curves: Curves, findings: Sequence[Finding], name: str) -> str:
    views = [v for v in found.views if v.kind == "line" and name in {s.signal for s in v.lines()}]
    view = views[0] if views else View(name, name)
    signal = found.signal(name)
    log = view.scale == "log"
    every = np.concatenate([v.ravel() for _, v in curves.values()])
    every = every[np.isfinite(every) & ((every > 0) | (not log))]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    if not log:
        low, high = (x if w is None else w for w, x in zip(view.range, (low, high), strict=True))
    low, high = (low, high) if low < high else (low - 0.5, high + 0.5)
    end = max(float(steps[-1]) for steps, _ in curves.values())

    def across(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, step / end)

    def up(value: float) -> float:
        share = (np.log(value / low) / np.log(high / low)) if log else (value - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * float(share)

    unit = f" ({signal.unit})" if signal is not None and signal.unit else ""
    label = f"{name.replace('_', ' ')}{unit}"
    spans = [(across(f.first), across(end if f.last is None else f.last)) for f in findings]
    words, first = findings[0].title, findings[0].first
    foot = HEIGHT - BOTTOM
    inks = {arm: _color(found, arm) for arm in curves}
    title = f"{view.title}: {', '.join(found.arm(a).label for a in curves)}; {words} from step {first}"
    parts = [
        f'<svg xmlns="{XMLNS}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" fill="none" font-size="10">',
        f"<title>{escape(title)}</title>",
        f'<path d="M{LEFT} {TOP}H{WIDTH - RIGHT}M{LEFT} {foot}H{WIDTH - RIGHT}" stroke="currentColor" opacity=".25"/>',
        _word(f"{high:.3g}", LEFT - 4, TOP + 3, "end"), _word(f"{low:.3g}", LEFT - 4, foot, "end"),
        _word("0", LEFT, HEIGHT - 6), _word(f"step {end:,.0f}", WIDTH - RIGHT, HEIGHT - 6, "end"),
        _word(label, LEFT, 11), _word(words, min(across(first), WIDTH - RIGHT - 5.2 * len(words)), TOP - 8),
    ]  # fmt: skip
    for left, right in spans:
        parts.append(f'<path d="M{left:.1f} {TOP - 3}H{max(left + 2, right):.1f}" stroke="#d9a032" stroke-width="4"/>')
    for row, arm in enumerate(curves):
        y = 11 + 11 * row
        parts.append(_word(found.arm(arm).label, WIDTH - RIGHT - 16, y, "end"))
        parts.append(f'<path d="M{WIDTH - RIGHT - 12} {y - 3}h12" stroke="{inks[arm]}" stroke-width="2"/>')
    for arm, (steps, values) in curves.items():
        size = values.shape[1]
        for k in range(size):
            good = np.isfinite(values[:, k]) & ((values[:, k] > 0) | (not log))
            points = " ".join(f"{across(s):.1f},{up(v):.1f}" for s, v in zip(steps[good], values[good, k], strict=True))
            faint = 0.35 + 0.65 * (k + 1) / size
            parts.append(
                f'<polyline points="{points}" stroke="{inks[arm]}" stroke-width="1.3" stroke-opacity="{faint:.2g}"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _word(text: str, x: float, y: float, anchor: str = "start") -> str:
    return f'<text x="{x:.4g}" y="{y:.4g}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'


def _color(found: Card, arm: str) -> str:
    """A remedy in the first colour of runs and a phenomenon in the second, as in the panel; they suit both grounds."""
    place = {"remedy": 0, "phenomenon": 1}.get(found.arm(arm).role)
    return "#888" if place is None else f"var(--wb-run{place}, {tokens()['light'][tokens()['runs'][place]]})"


if __name__ == "__main__":
    raise SystemExit(main())
