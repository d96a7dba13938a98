"""Commands that look: experiments, runs, one run live, two side by side."""

from __future__ import annotations

import json
from typing import Any

import click

from workbench.cards import card, experiments
from workbench.cli.group import follow, json_option, main, row_of
from workbench.runs import Store
from workbench.runs.lineage import Node


@main.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the experiments: phenomenon, remedy, arms, presets."""
    cards = [card(e) for e in experiments()]
    if as_json:
        click.echo(json.dumps([_described(c) for c in cards], indent=2, default=str))
        return
    from workbench.terminal import console, table

    rows = [(c.id, c.phenomenon, c.remedy, ", ".join(a.name for a in c.arms)) for c in cards]
    console.print(table(("experiment", "phenomenon", "remedy", "arms"), rows))


def _described(found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "id": found.id,
        "family": found.family,
        "paper": asdict(found.paper),
        "phenomenon": found.phenomenon,
        "remedy": found.remedy,
        "arms": [asdict(a) for a in found.arms],
        "presets": [asdict(p) for p in found.presets],
        "controls": [asdict(c) for c in found.controls.values()],
        "signals": [asdict(s) for s in found.signals],
        "claims": [asdict(c) for c in found.claims],
    }


@main.command()
@click.argument("source", metavar="RUN|FILE.csv|runs:/ID")
@json_option
def detect(source: str, as_json: bool) -> None:
    """What the detectors find in a recorded run: of this store, a CSV file's, or MLflow's."""
    from pathlib import Path

    from workbench.tracking.reading import detect as look

    ours = not source.startswith("runs:/") and not source.endswith(".csv") and not Path(source).exists()
    findings = look(Store.find().run(source) if ours else source)
    click.echo(json.dumps([f.to_json() for f in findings], indent=2, default=str) if as_json else repr(findings))


@main.command()
@click.argument("experiment", required=False)
@click.option("--tree", "as_tree", is_flag=True, help="Forks and replays below the run they came from.")
@click.option("--all", "every", is_flag=True, help="Archived runs too.")
@json_option
def runs(experiment: str | None, as_tree: bool, every: bool, as_json: bool) -> None:
    """List the runs of the store, newest first."""
    from workbench.runs.lineage import tree
    from workbench.runs.remarks import all_remarks

    store = Store.find()
    found = store.runs(experiment)
    said = all_remarks(store.path, found)
    shown = [r for r in found if every or not said[r.id]["archived"]]
    if as_json:
        nested = [_nested(node, store) for node in tree(store, shown)] if as_tree else [row_of(r, store) for r in shown]
        click.echo(json.dumps(nested, indent=2))
        return
    from workbench.terminal import console, lineage, run_table

    if not found:
        console.print(
            f"There are no runs in {store.path} yet. Start one: workbench run certified/ibp arm=fast preset=tour"
        )
        return
    console.print(lineage(tree(store, shown), said) if as_tree else run_table(shown, said))
    hidden = len(found) - len(shown)
    console.print(f"[dim]{store.path}{f'; {hidden} archived, see them with --all' if hidden else ''}[/dim]")


def _nested(node: Node, store: Store) -> dict[str, Any]:
    return {**row_of(node.run, store), "children": [_nested(child, store) for child in node.children]}


@main.command()
@click.argument("run")
def watch(run: str) -> None:
    """Follow a run live: sparklines, findings, interventions. Ctrl+C stops looking, not the run."""
    follow([Store.find().run(run)])


@main.command()
@click.argument("a")
@click.argument("b")
@json_option
def compare(a: str, b: str, as_json: bool) -> None:
    """Two runs side by side.

    Where they differ first, settings that differ, interventions that only one has.
    """
    from workbench.runs.compare import report

    store = Store.find()
    first, second = store.run(a), store.run(b)
    found = report(first, second)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from workbench.terminal import comparison, console

    console.print(comparison(found, first.label, second.label))
