"""The command that tests what the papers claim."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from workbench.cli.group import json_option, main


@main.command()
@click.argument("which", metavar="[EXPERIMENT|FAMILY|all]", default="all")
@click.option("--seeds", type=click.IntRange(min=1), metavar="N", help="Seeds a claim; too few: inconclusive.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Runs at once, within the queue's limit.")
@click.option("--quick", is_flag=True, help="Only the claims that need no runs.")
@click.option("--claim", "only", multiple=True, metavar="ID", help="Only this claim; may be given again.")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), help="Keep the results in this folder.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown instead of a table.")
@json_option
def claims(
    which: str, seeds: int | None, jobs: int | None, quick: bool, only: tuple[str, ...], save: Path | None,
    as_markdown: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run what the papers' claims need, and say which hold here.

    Runs are found again if code, data and versions are the same and nobody steered them; after Ctrl+C the same command
    goes on where it was. Each claim's rule stands in its card and is printed with the verdict.
    """
    from workbench.runs.claims import Campaign, find_claims, results
    from workbench.runs.claims import save as keep
    from workbench.runs.claims.tables import markdown

    chosen = find_claims(which, quick=quick, only=only)
    if not chosen:
        click.echo(f"There are no {'quick ' if quick else ''}claims in {which}.", err=True)
        return
    campaign = Campaign(chosen, seeds=seeds, jobs=jobs)
    try:
        _follow(campaign, quietly=as_json or as_markdown)
    except KeyboardInterrupt:
        training = [j.run.id for j in campaign.jobs.values() if j.run is not None and not j.run.ended]
        more = f" {', '.join(training)} train{'s' if len(training) == 1 else ''} on." if training else ""
        click.echo(f"Stopped looking.{more} The same command goes on where this one was.", err=True)
        sys.exit(130)
    finally:
        campaign.close()
    found = results(campaign)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif as_markdown:
        click.echo(markdown(found))
    else:
        _show(found)
    if save is not None:
        for path in keep(found, save):
            click.echo(f"Kept in {path}.", err=True)
    if any(j.problem for j in campaign.jobs.values()):
        sys.exit(1)


def _follow(campaign: Any, *, quietly: bool) -> None:
    """Look after the campaign until its end: a live table in a terminal, else a line for what has changed."""
    from workbench.terminal import console, table

    def state() -> list[tuple[str, ...]]:
        return [(q.card.id, q.claim.id, q.progress()) for q in campaign.questions]

    if console.is_terminal and not quietly:
        from rich.live import Live

        with Live(console=console, refresh_per_second=2, transient=True) as live:
            while not campaign.advance():
                live.update(table(("experiment", "claim", "progress"), state()))
                time.sleep(0.5)
        return
    said: dict[str, str] = {}
    while not (done := campaign.advance()) or not said:
        for experiment, claim, progress in state():
            coarse = progress.partition(",")[0]
            if said.get(claim) != coarse:
                click.echo(f"{experiment} {claim}: {coarse}", err=True)
                said[claim] = coarse
        if done:
            break
        time.sleep(0.5)


def _show(found: list[dict[str, Any]]) -> None:
    """The results for a terminal: a paragraph a claim, so that long sentences stay readable."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from workbench.runs.claims.tables import measured, statement, versions
    from workbench.terminal import console

    styles = {"reproduced": "bold green", "partly": "yellow", "not reproduced": "bold red", "inconclusive": "dim"}
    for one in found:
        console.print(Text(f"{one['experiment']}  {one['paper']['title']}", style="bold"))
        for claim in one["claims"]:
            console.print(Text.assemble(f"  {claim['id']}  ", (claim["verdict"], styles[claim["verdict"]])))
            lines = [("paper", statement(claim)), ("here", claim["restatement"])]
            for entry in claim["comparisons"]:
                also = f"  {entry['verdict']}" if len(claim["comparisons"]) > 1 else ""
                lines += [("rule", entry["rule"]), ("result", measured(entry, claim) + also)]
            lines.append(("took", f"{claim['minutes']:.1f} min; {versions(claim['environment'])}"))
            if claim["why"] and any(entry.get("differences") for entry in claim["comparisons"]):
                lines.append(("why", claim["why"]))  # else it stands as the result
            grid = Table.grid(padding=(0, 2, 0, 0))
            for name, text in lines:
                grid.add_row(Text(name, style="dim"), Text(text))
            console.print(Padding(grid, (0, 0, 0, 4)))
