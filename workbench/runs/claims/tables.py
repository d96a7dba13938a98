"""Results of claims for reading: rows of text, Markdown, and the one number of the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.runs.claims.verdicts import REPRODUCED, VERDICTS

PAPERS = 59
COLUMNS = ("claim", "measured here", "counts as reproduced if", "result", "verdict", "min")
_HEAD = """# Claims

What the papers say, what was measured here, and the verdict by a rule that the card declared before anything ran.
Small networks, small data, minutes a run: a verdict is about our restatement at this size and no other. *Reproduced*:
the rule holds. *Partly*: the mean has the claimed direction, its interval or the margin fails (or one of several
comparisons does). *Not reproduced*: the mean has not the direction. *Inconclusive*: runs or declared seeds are missing.
Differences are first arm minus the others, paired by seed; brackets hold the two-sided 90 % t interval of their mean.

This page is made from the files in [`claims/`](../claims) (values of every seed, environment, date) by
`python scripts/claims.py`; `make claims` runs what is missing and makes it anew.
"""


def rows(claim: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row a comparison, in the order of `COLUMNS`; the first carries the claim's words and verdict."""
    made: list[tuple[str, ...]] = []
    several = len(claim["comparisons"]) > 1
    for number, entry in enumerate(claim["comparisons"]):
        words = statement(claim) if number == 0 else ""
        verdict = entry["verdict"] if several else ""
        if number == 0:
            verdict = claim["verdict"] + (f" (here {entry['verdict']})" if several else "")
        restated, minutes = (claim["restatement"], f"{claim['minutes']:.1f}") if number == 0 else ("", "")
        made.append((words, restated, entry["rule"], measured(entry, claim), verdict, minutes))
    return made


def statement(claim: Mapping[str, Any]) -> str:
    """The paper's words with its number."""
    return str(claim["statement"]) + (f" [{claim['figure']}]" if claim["figure"] else "")


def measured(entry: Mapping[str, Any], claim: Mapping[str, Any]) -> str:
    """A comparison's numbers, as ``-21.8 [-25.9, -17.7], 3 of 3 seeds``; else why there are none."""
    count = len(entry.get("differences", ()))
    if not count:
        return str(claim["why"]) or "nothing"
    seeds = f"{entry['held']} of {count} seeds" if len(claim["seeds"]) == count else "over all seeds"
    if "mean" not in entry:
        return seeds
    span = f" [{entry['low']:.4g}, {entry['high']:.4g}]" if "low" in entry else ""
    said = f"{entry['mean']:.4g}{span}, {seeds}"
    arms = [f"{arm} {sum(v) / len(v):.4g}" for arm, v in entry["values"].items()]
    return said + (f" ({', '.join(arms)})" if len(arms) > 1 else "")


def versions(environment: Mapping[str, Any]) -> str:
    """Where something was measured, in one line."""
    packages = environment.get("packages") or {}
    named = [f"{p} {packages[p]}" for p in ("torch", "lightning", "numpy") if packages.get(p)]
    parts = [f"Python {environment['python']}" if environment.get("python") else "", *named]
    place = [str(environment.get("processor") or ""), str(environment.get("device") or "")]
    return ", ".join(p for p in (*parts, *dict.fromkeys(place)) if p)


def markdown(files: Sequence[Mapping[str, Any]]) -> str:
    """Experiments with their claims as Markdown tables."""
    parts = []
    for one in files:
        paper = one["paper"]
        title = f"[{paper['title']}]({paper['url']})" if paper["url"] else paper["title"]
        parts.append(f"## {one['experiment']}\n\n{title} ({paper['venue']} {paper['year']})\n")
        table = [COLUMNS, ("---",) * len(COLUMNS)]
        table += [row for claim in one["claims"] for row in rows(claim)]
        parts.append("\n".join(f"| {' | '.join(_cell(c) for c in row)} |" for row in table) + "\n")
        where: dict[str, list[str]] = {}
        for claim in one["claims"]:
            where.setdefault(f"{claim['date']}; {versions(claim['environment'])}", []).append(f"`{claim['id']}`")
        parts += [f"{', '.join(ids)}: {text}.\n" for text, ids in where.items()]
    return "\n".join(parts)


def page(files: Sequence[Mapping[str, Any]]) -> str:
    """The whole of docs/claims.md."""
    counts = {v: sum(c["verdict"] == v for f in files for c in f["claims"]) for v in VERDICTS}
    summary = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
    return f"{_HEAD}\n{headline(files)} Verdicts: {summary or 'none yet'}.\n\n{markdown(files)}"


def headline(files: Sequence[Mapping[str, Any]]) -> str:
    """The one number: claims reproduced out of claims tested, and from how many of the papers."""
    tested = [(f, c) for f in files for c in f["claims"] if not c["partial"]]
    reproduced = sum(c["verdict"] == REPRODUCED for _, c in tested)
    papers = {f["paper"]["number"] for f, _ in tested if f["paper"]["number"]}
    return f"{reproduced} of {len(tested)} claims reproduced, from {len(papers)} of {PAPERS} papers."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
