"""Commands that keep house: MLflow, data sets, the machine, JupyterLab, names, the disk."""

from __future__ import annotations

import json
import sys

import click

from workbench.cli.group import json_option, main
from workbench.runs import Run, Store
from workbench.runs.remarks import annotate, remarks


@main.command()
@click.argument("run", required=False)
def sync(run: str | None) -> None:
    """Bring MLflow up to date with the store, now, and wait until it is."""
    from workbench.tracking import sync as sync_store

    store = Store.find()
    done = sync_store(store.path, runs=[store.run(run).id] if run else None)
    click.echo(str(done))


@main.command()
@click.argument("run")
@click.argument("text", required=False)
@click.option("--clear", is_flag=True, help="Take the name away.")
def name(run: str, text: str | None, clear: bool) -> None:
    """Name a run; without TEXT, tell its name."""
    _say(run, "name", text, clear)


@main.command()
@click.argument("run")
@click.argument("text", required=False)
@click.option("--clear", is_flag=True, help="Take the note away.")
def note(run: str, text: str | None, clear: bool) -> None:
    """Write a note about a run; without TEXT, tell it."""
    _say(run, "note", text, clear)


@main.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Take the star away.")
def star(runs: tuple[str, ...], off: bool) -> None:
    """Mark runs as worth keeping."""
    _mark(runs, "star", off)


@main.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Take it out of the archive.")
def archive(runs: tuple[str, ...], off: bool) -> None:
    """Put runs away.

    Lists show them only with --all, and `gc --archived` drops their checkpoints.
    """
    _mark(runs, "archived", off)


def _say(run: str, key: str, text: str | None, clear: bool) -> None:
    found = Store.find().run(run)
    if text is None and not clear:
        click.echo(remarks(found)[key])
        return
    annotate(found, **{key: "" if text is None else text})  # type: ignore[arg-type]
    _tell_mlflow([found])


def _mark(runs: tuple[str, ...], key: str, off: bool) -> None:
    store = Store.find()
    found = [store.run(run) for run in runs]
    for run in found:
        annotate(run, **{key: not off})  # type: ignore[arg-type]
    _tell_mlflow(found)


def _tell_mlflow(changed: list[Run]) -> None:
    """See to it that the copies, if there are any, hear of it; nobody waits for that."""
    from workbench.tracking import ensure_mirror, mlflow_run_id

    if any(mlflow_run_id(run) for run in changed):
        ensure_mirror(Store.find())


@main.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Don't ask.")
def delete(runs: tuple[str, ...], yes: bool) -> None:
    """Remove runs with all that they recorded.

    Their copies in MLflow are marked as deleted there.
    """
    from workbench.runs.housekeeping import delete as remove
    from workbench.runs.housekeeping import disk
    from workbench.terminal import size
    from workbench.tracking import ensure_mirror, mlflow_run_id

    store = Store.find()
    found = list({run.id: run for run in map(store.run, runs)}.values())
    if not yes:
        for run in found:
            click.echo(f"{run.id}  {run.label}  {run.state}  {size(sum(disk(run).values()))}")
        click.confirm("Delete for good?", abort=True)
    copied = any(mlflow_run_id(run) for run in found)
    for run in sorted(found, key=lambda r: r.id, reverse=True):  # forks before what they came from
        click.echo(f"{run.id} deleted, {size(remove(run))} given back")
    if copied:
        ensure_mirror(store)


@main.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--archived", is_flag=True, help="Checkpoints of archived runs too.")
@click.option("--older", type=float, metavar="DAYS", help="Checkpoints of runs that ended so many days ago too.")
@json_option
def gc(dry_run: bool, archived: bool, older: float | None, as_json: bool) -> None:
    """Give back disk space that no run needs.

    Also shows what the store takes.
    """
    from workbench.runs.housekeeping import gc as clean
    from workbench.runs.housekeeping import usage

    store = Store.find()
    cleaning = clean(store, dry_run=dry_run, archived=archived, older_days=older)
    taken = usage(store)
    if as_json:
        rows = [{"run": o.run, "what": o.what, "why": o.why, "bytes": o.size} for o in cleaning.leftovers]
        told = {"dry_run": dry_run, "removed": rows, "bytes": cleaning.size, "kept": cleaning.kept, "disk": taken}
        click.echo(json.dumps(told, indent=2))
        return
    from workbench.terminal import console, size, table

    if cleaning.leftovers:
        rows_ = [(o.run, o.what, size(o.size), o.why) for o in cleaning.leftovers]
        console.print(table(("run", "what", "size", "why"), rows_))
    for text in cleaning.kept:
        click.echo(text)
    done = "would be given back" if dry_run else "given back"
    click.echo(f"{size(cleaning.size)} {done}." if cleaning.leftovers else "There is nothing to remove.")
    parts = ", ".join(f"{part} {size(number)}" for part, number in taken.items() if number)
    console.print(f"[dim]{store.path} takes {size(sum(taken.values()))}{f': {parts}' if parts else ''}[/dim]")


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show what is there and the one command that mends each gap."""
    from workbench import doctor as clinic

    clinic.main(as_json=as_json)


@main.group()
def data() -> None:
    """Data sets: what is here, and how to get what is not."""


@data.command("list")
@json_option
def data_list(as_json: bool) -> None:
    """List the data sets with licence, source and whether they are on this machine."""
    from workbench.data import list_sets

    rows = list_sets()
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    from workbench.terminal import console, table

    console.print(table(tuple(rows[0]) if rows else (), [tuple(r.values()) for r in rows]))


@data.command("get")
@click.argument("name")
def data_get(name: str) -> None:
    """Fetch a data set, checking its SHA-256."""
    from workbench.data import get

    click.echo(str(get(name)))


@main.command()
@click.option("--port", type=int, help="Port of JupyterLab (default: 8888, or the next free one).")
@click.option("--browser/--no-browser", default=True, help="Open a browser if there is one.")
@click.argument("notebook", required=False)
def lab(port: int | None, browser: bool, notebook: str | None) -> None:
    """Open JupyterLab on the tour (or on NOTEBOOK)."""
    from workbench import lab as laboratory

    sys.exit(laboratory.start(notebook, port=port, browser=browser))
