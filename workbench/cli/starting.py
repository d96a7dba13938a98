"""Commands that start runs: new ones, forks, replays."""

from __future__ import annotations

import json
import sys

import click

from workbench.cli.group import exit_for, follow, json_option, main, row_of, values, warn_of_differences
from workbench.runs import Store


@main.command()
@click.argument("experiment")
@click.argument("overrides", nargs=-1)
@click.option("--detach", is_flag=True, help="Start it and return; `workbench watch` looks in later.")
@json_option
def run(experiment: str, overrides: tuple[str, ...], detach: bool, as_json: bool) -> None:
    """Train an experiment, as in: workbench run certified/ibp arm=fast preset=tour epsilon=0.1 seed=3."""
    from workbench.runs import launch

    started = launch(experiment, overrides=values(overrides))
    if detach or as_json:
        click.echo(json.dumps(row_of(started, Store.find())) if as_json else started.id)
        if detach:
            return
    else:
        follow([started])
    exit_for(started)


@main.command()
@click.argument("run")
@click.argument("step", type=click.IntRange(min=0))
@click.argument("changes", nargs=-1)
@click.option("--before", type=int, metavar="NUMBER", help="Keep the step's own commands before this one.")
@click.option("--paused", is_flag=True, help="Let the fork wait before its first step.")
@click.option("--name", default="", help="What to call the fork.")
@click.option("--detach", is_flag=True, help="Start it and return.")
@json_option
def fork(
    run: str, step: int, changes: tuple[str, ...], before: int | None, paused: bool, name: str, detach: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Go another way from STEP on.

    As in: workbench fork RUN 4200 optimizer.lr=1e-4 (what if the learning rate had been lowered at step 4,200?).
    """
    store = Store.find()
    found = store.run(run)
    warn_of_differences(found)
    child = found.fork(step, values(changes), before=before, paused=paused, name=name)
    if as_json:
        click.echo(json.dumps(row_of(child, store)))
    elif paused or detach:
        click.echo(child.id)
    else:
        follow([child])
    if not (paused or detach):
        exit_for(child)


@main.command()
@click.argument("run")
@click.option("--wait/--no-wait", default=True, help="Wait for the end and compare.")
@click.option("--name", default="", help="What to call the new run.")
@json_option
def replay(run: str, wait: bool, name: str, as_json: bool) -> None:
    """Train it again as recorded and compare the bits.

    If they differ, the first difference is named and the exit code is 1.
    """
    from workbench.runs.compare import report

    store = Store.find()
    found = store.run(run)
    warn_of_differences(found)
    again = found.replay(name=name)
    if not wait:
        click.echo(json.dumps(row_of(again, store)) if as_json else again.id)
        return
    if not as_json:
        follow([again])
    exit_for(again)
    outcome = report(found, again)
    click.echo(json.dumps(outcome, indent=2) if as_json else f"{again.id}: {outcome['text']}")
    if outcome["first_difference"] or outcome["weights"]["differing"] or outcome["damage"]:
        sys.exit(1)
