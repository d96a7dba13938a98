"""A run in words that MLflow's pages show: name, parameters, tags, description. Pure: nothing is sent from here."""

from __future__ import annotations

import getpass
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from workbench.cards import Finding
from workbench.cards.controls import flat
from workbench.journal import CommandRecord
from workbench.runs import Run
from workbench.runs.remarks import remarks

PARAM_LIMIT, TAG_LIMIT, KEY_LIMIT = 6_000, 5_000, 250
_NOT_SCIENCE = (
    "tracking.", "run.name", "run.group", "run.parent", "run.fork_", "run.replay_of", "run.before.", "run.command",
    "run.cwd", "run.checkpoint_", "run.flush_ms",
)  # fmt: skip
_SHOWN = ("python", "device", "threads")  # of the environment; all of it is in an artifact
_ROWS = 40  # of a table in the description; the artifacts hold all


def key(text: str) -> str:
    """The text as a key that MLflow takes: letters, digits, and ``_ - . space / :``."""
    return re.sub(r"[^\w\-. /:]", "_", text, flags=re.ASCII).strip("/. ")[:KEY_LIMIT] or "_"


def short(value: Any, limit: int) -> str:
    """The value as text that fits; a cut is visible."""
    text = "none" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 2] + " …"


def number(value: Any) -> float | None:
    """A setting as a number that a chart can show; None for text and for nothing."""
    return float(value) if isinstance(value, bool | int | float) and math.isfinite(value) else None


def run_name(run: Run) -> str:
    """What somebody named it, else readable and different for every run: ``fast · seed 0 · k3f9``."""
    return remarks(run)["name"] or f"{run.label} · seed {run.seed} · {run.id.rsplit('-', 1)[-1]}"


def params(run: Run) -> dict[str, str]:
    """The resolved configuration, flat, without what says nothing about the science."""
    leaves = {k: v for k, v in flat(run.config).items() if not k.startswith(_NOT_SCIENCE)}
    return {key(name): short(value, PARAM_LIMIT) for name, value in leaves.items()}


def tags(run: Run, non_finite: Mapping[str, str]) -> dict[str, str]:
    """Everything about the run that can be searched for, as tags; the description is one of them."""
    meta = run.reader.meta
    said = remarks(run)
    found = {
        "workbench.run_id": run.id,
        "workbench.experiment": run.experiment,
        "workbench.arm": run.arm,
        "workbench.preset": run.preset,
        "workbench.seed": str(run.seed),
        "workbench.group": run.group,
        "workbench.parent": run.parent,
        "workbench.fork_step": "" if run.fork_step is None else str(run.fork_step),
        "workbench.replay_of": run.replay_of,
        "workbench.star": "true" if said["star"] else "",
        "workbench.archived": "true" if said["archived"] else "",
        "workbench.state": run.state,
        "workbench.message": run.message,
        "workbench.step": str(run.step),
        "workbench.folder": str(run.dir.path),
        "mlflow.source.name": f"workbench run {run.experiment}",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "mlflow.note.content": short(f"{said['note']}\n\n{note(run)}".lstrip(), TAG_LIMIT),
    }
    environment = meta.get("environment") or {}
    for name, value in environment.items():
        if name == "git" and isinstance(value, Mapping):
            found["mlflow.source.git.commit"] = str(value.get("commit", ""))
        elif name == "packages" and isinstance(value, Mapping):
            found.update({f"environment.{part}": str(version) for part, version in value.items() if version})
        elif name in _SHOWN and value is not None:
            found[f"environment.{name}"] = short(value, 500)
    for finding in run.reader.findings():
        place = " ".join(filter(None, ("finding." + finding.id, finding.subject, str(finding.first))))
        found[place] = f"{span(finding)}: {finding.sentence} To try: {finding.remedy}"
    applied = [r for r in run.reader.commands() if r.kind in ("set", "action")]
    for record in applied[:200]:
        found[f"intervention.{record.seq:04d}"] = f"{when(record)}: {what(record)} ({record.source}, {record.outcome})"
    found["workbench.findings"] = str(len(run.reader.findings()))
    found["workbench.interventions"] = str(sum(r.outcome == "applied" for r in applied))
    found.update({f"non_finite.{name}": text for name, text in non_finite.items()})
    return {key(name): short(text, TAG_LIMIT) for name, text in found.items() if text}


def note(run: Run) -> str:
    """The description of a run in Markdown: what it is, what was found, who moved what when."""
    card = run.card
    findings = sorted(run.reader.findings(), key=lambda f: f.first)
    records = [r for r in run.reader.commands() if r.kind in ("set", "action", "pause", "resume", "stop", "step")]
    # MLflow folds the description after a few lines: what matters about this run comes first.
    lines = [f"**{card.title if card else run.experiment}**: {_summary(run, findings, records)}"]
    if card:
        paper = f"[{card.paper.title}]({card.paper.url})" if card.paper.url else card.paper.title
        lines += ["", f"*Phenomenon:* {card.phenomenon}", "", f"*Remedy:* {card.remedy}"]
        lines += ["", f"*Paper:* {paper}, {card.paper.venue} {card.paper.year}"]
        arms = [a for a in card.arms if a.name == run.arm]
        lines += ["", *(f"*Arm:* {a.label} ({a.role}). {a.help}" for a in arms)]
    lines += ["", "### Findings", ""]
    lines += [f"- **{f.title}** ({f.severity}, {span(f)}): {f.sentence} *To try:* {f.remedy}" for f in findings[:_ROWS]]
    lines += [] if findings else ["None so far." if not run.ended else "None."]
    lines += ["", "### Interventions", ""]
    if records:
        lines += ["| step | what | by | outcome |", "|---:|---|---|---|"]
        lines += [
            f"| {_step(r)} | {_cell(what(r))} | {_cell(r.source)} | {_cell(outcome(r))} |" for r in records[:_ROWS]
        ]
        lines += ["", f"{len(records)} in all; see `interventions.json`."] if len(records) > _ROWS else []
    else:
        lines.append("Nobody moved anything." if run.ended else "Nobody has moved anything yet.")
    lines += ["", f"Run `{run.id}`; at the terminal: `workbench watch {run.id}`."]
    text = "\n".join(lines)
    return short(text, TAG_LIMIT)


def _summary(run: Run, findings: list[Finding], records: list[CommandRecord]) -> str:
    titles = ", ".join(dict.fromkeys(f.title for f in findings)) or "none"
    moves = [f"{what(r)} at {when(r)}" for r in records if r.kind in ("set", "action") and r.outcome == "applied"]
    shown = "; ".join(moves[:4]) + (f"; {len(moves) - 4} more" if len(moves) > 4 else "")
    text = f"{run.state} at step {run.step:,}. {run.message}".rstrip()
    return f"{text} *Findings:* {titles}. *Interventions:* {shown or 'none'}."


def span(finding: Finding) -> str:
    """A finding's step range in words."""
    return (
        f"steps {finding.first:,} to {finding.last:,}" if finding.last is not None else f"since step {finding.first:,}"
    )


def what(record: CommandRecord) -> str:
    """A command in words: ``epsilon 0.1 → 0.2``."""
    asked = record.payload.get("values") or {}
    if record.new or asked:
        changes = record.new or asked
        return ", ".join(f"{name} {record.old[name]} → {new}" if name in record.old else f"{name} → {new}"
                         for name, new in changes.items())  # fmt: skip
    extra = record.payload.get("name") or record.payload.get("count") or ""
    return f"{record.kind} {extra}".strip()


def when(record: CommandRecord) -> str:
    """The step of a command in words."""
    return f"step {record.step:,}" if record.step is not None else "never"


def outcome(record: CommandRecord) -> str:
    """The outcome with its reason."""
    return f"{record.outcome}: {record.reason}" if record.reason else record.outcome


def interventions(run: Run) -> list[dict[str, Any]]:
    """Every command with its outcome, as plain data for an artifact."""
    fields = ("seq", "kind", "source", "time", "at_step", "step", "outcome", "reason", "old", "new", "payload")
    rows = [{name: getattr(record, name) for name in fields} for record in run.reader.commands()]
    return [dict(row) for row in json.loads(json.dumps(rows, default=str))]


def control_points(run: Run) -> dict[str, list[tuple[int, float, float]]]:
    """For each control that was moved: (step, time, value) of a staircase, from the first step to the last one."""
    start = flat(run.config)
    stairs: dict[str, list[tuple[int, float, float]]] = {}
    for record in run.reader.commands():
        if record.kind != "set" or record.outcome != "applied" or record.step is None:
            continue
        for name, new in record.new.items():
            value, old = number(new), number(record.old.get(name, start.get(name)))
            if value is None:
                continue
            stair = stairs.setdefault(name, [])
            if old is not None and record.step > 0:
                if not stair:
                    stair.append((0, record.time, old))
                stair.append((record.step - 1, record.time, old))
            stair.append((record.step, record.time, value))
    return stairs


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return ""


def _step(record: CommandRecord) -> str:
    return f"{record.step:,}" if record.step is not None else "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
