"""What came of claims, as plain data: computed from a campaign, kept as JSON files, read back."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import workbench
from workbench.cards import Card, Claim, StoreError, WorkbenchError
from workbench.runs.claims.campaign import Campaign, Job, Question
from workbench.runs.claims.measure import Measured, from_values, measure
from workbench.runs.claims.verdicts import INCONCLUSIVE, Judged, in_words, judge, together
from workbench.runs.run import Run

_WORDS = ("statement", "restatement", "figure", "quick")  # of a claim: no part of its rule
_KEPT = ("python", "platform", "machine", "processor", "cores", "threads", "device", "packages")


def declared(found: Card, claim: Claim) -> dict[str, Any]:
    """What decides a claim, as plain data: its rule, and what its arms and preset stand for."""
    from workbench.runs.claims.measure import arm_of

    rule = {k: v for k, v in dataclasses.asdict(claim).items() if k not in _WORDS}
    names = {arm_of(a)[0] for c in claim.comparisons for a in c.arms} - {None}
    meant = {str(n): dict(found.arm(str(n)).overrides) for n in sorted(map(str, names))}
    preset = dict(found.preset(claim.preset).overrides) if names or any(c.arms for c in claim.comparisons) else {}
    plain: dict[str, Any] = json.loads(json.dumps({**rule, "arms_mean": meant, "preset_means": preset}, default=str))
    return plain


def result(question: Question) -> dict[str, Any]:
    """A claim with its numbers and verdict, as far as they have come; never raises for a run that went wrong."""
    found, claim = question.card, question.claim
    complete = set(claim.seeds) <= set(question.seeds)
    comparisons, why = [], _problem(question)
    if not why and not question.settled:
        why = "Not everything has been run yet."
    partial = bool(why) or not complete
    for number, comparison in enumerate(claim.comparisons):
        entry: dict[str, Any] = {"metric": comparison.metric, "rule": in_words(comparison, len(claim.seeds))}
        if why:
            entry["verdict"] = INCONCLUSIVE
        else:
            try:
                got = _measured(question, number)
            except WorkbenchError as error:
                why = str(error)
                entry["verdict"] = INCONCLUSIVE
            else:
                judged = judge(comparison, got.differences, got.plain, declared=len(claim.seeds))
                if not complete:
                    judged = dataclasses.replace(judged, verdict=INCONCLUSIVE, why=_missing(question))
                entry |= _numbers(judged, got)
        comparisons.append(entry)
    verdict = INCONCLUSIVE if why else together([e["verdict"] for e in comparisons])
    reasons = [why, *(e.get("why", "") for e in comparisons)] if verdict == INCONCLUSIVE else []
    return {
        "id": claim.id, "statement": claim.statement, "figure": claim.figure, "restatement": claim.restatement,
        "verdict": verdict, "why": next((r for r in reasons if r), ""), "partial": partial,
        "comparisons": comparisons, "seeds": list(question.seeds), "declared": declared(found, claim),
        "minutes": round(_minutes(question), 2), "date": time.strftime("%Y-%m-%d"),
        "environment": _environment(question),
        "runs": {a: [j.run.id for (b, _), j in question.jobs.items() if b == a and j.run] for a, _ in question.jobs},
    }  # fmt: skip


def _problem(question: Question) -> str:
    """Which run (or child process) went wrong; empty: none."""
    if question.answer is not None and "problem" in question.answer:
        return str(question.answer["problem"])
    return " ".join(dict.fromkeys(j.problem for j in question.jobs.values() if j.problem))


def _missing(question: Question) -> str:
    missing = [str(s) for s in question.claim.seeds if s not in question.seeds]
    return f"Seeds that the card declares are missing: {', '.join(missing)}."


def _measured(question: Question, number: int) -> Measured:
    comparison = question.claim.comparisons[number]
    if not comparison.arms:
        assert question.answer is not None
        values = dict(zip(question.seeds, question.answer["values"][number], strict=True))
        return from_values(comparison, values, question.seeds, question.card.id)
    rows = [[_run(question.jobs[arm, seed]) for arm in comparison.arms] for seed in question.seeds]
    return measure(question.card, comparison, rows)


def _run(job: Job) -> Run:
    assert job.run is not None
    return job.run


def _numbers(judged: Judged, got: Measured) -> dict[str, Any]:
    entry = {k: v for k, v in dataclasses.asdict(judged).items() if v not in (None, "")}
    return {**entry, "values": got.values, "differences": got.differences}


def _minutes(question: Question) -> float:
    """Wall-clock time of the runs, one after the other, or of the child process."""
    alone = float((question.answer or {}).get("minutes", 0.0))
    return alone + sum(seconds(j.run) for j in {j.key: j for j in question.jobs.values()}.values() if j.run) / 60


def seconds(run: Run) -> float:
    """How long a run trained: all its attempts, without what lay between them."""
    run.refresh()
    spans: dict[int, list[float]] = {}
    for event in run.reader.events(["state"]):
        spans.setdefault(event.attempt, []).append(event.time)
    return sum(max(times) - min(times) for times in spans.values())


def _environment(question: Question) -> dict[str, Any]:
    """Versions and machine: those of the runs (the same versions for all of them), or of the child process."""
    recorded = (question.answer or {}).get("environment")
    for job in question.jobs.values():
        recorded = recorded or (job.run and job.run.reader.meta.get("environment"))
    return {k: v for k, v in (recorded or {}).items() if k in _KEPT}


def results(campaign: Campaign) -> list[dict[str, Any]]:
    """One entry an experiment, in the order asked, each with its claims."""
    files: dict[str, dict[str, Any]] = {}
    for question in campaign.questions:
        found = question.card
        about = {"experiment": found.id, "title": found.title, "paper": dataclasses.asdict(found.paper), "claims": []}
        files.setdefault(found.id, about)["claims"].append(result(question))
    return list(files.values())


def folder() -> Path | None:
    """Where the results that come with the workbench are: `claims/` of its checkout; None where there is none."""
    here = Path(workbench.__file__).parents[1] / "claims"
    return here if here.is_dir() else None


def load(where: Path | None = None) -> list[dict[str, Any]]:
    """The kept results of every experiment, sorted by id (default: those of `folder`)."""
    where = where or folder()
    if where is None:
        return []
    try:
        return [json.loads(path.read_text()) for path in sorted(where.glob("*.json"))]
    except (OSError, ValueError) as error:
        raise StoreError(f"The results in {where} cannot be read: {error}.") from error


def save(found: Sequence[Mapping[str, Any]], where: Path) -> list[Path]:
    """Keep results, a file an experiment; returns the files.

    Claims that were not asked keep theirs, and so does one whose rule still stands where the new result is partial.
    """
    written = []
    try:
        where.mkdir(parents=True, exist_ok=True)
        for one in found:
            path = where / f"{str(one['experiment']).replace('/', '__')}.json"
            kept = {c["id"]: c for c in json.loads(path.read_text())["claims"]} if path.exists() else {}
            for claim in one["claims"]:
                old = kept.get(claim["id"])
                if claim["partial"] and old and not old["partial"] and old["declared"] == claim["declared"]:
                    continue
                kept[claim["id"]] = claim
            path.write_text(json.dumps({**one, "claims": list(kept.values())}, indent=1, ensure_ascii=False) + "\n")
            written.append(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"The results cannot be kept in {where}: {error}.") from error
    return written
