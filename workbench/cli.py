"""The command line. Errors are one or two sentences on stderr; exit 2 for mistakes and refusals, 1 for failed runs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from workbench.cards import WorkbenchError, card, experiments
from workbench.runs import Run, Store


class _Group(click.Group):
    """A group whose commands turn every `WorkbenchError` into its sentence and exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WorkbenchError as error:
            click.echo(str(error), err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(130)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " See workbench --help."
            ctx.fail(f"There is no command '{args[0]}'.{hint}")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="balance-workbench", prog_name="workbench")
def main() -> None:
    """See and steer imbalance and instability while networks train."""


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def _steers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that waits for an outcome."""
    wait = click.option("--wait/--no-wait", default=True, help="Wait up to 10 s for the outcome.")
    return wait(click.argument("run")(function))


def _values(overrides: tuple[str, ...]) -> dict[str, Any]:
    from workbench.runs import parse

    return parse(overrides)


# -- looking ----------------------------------------------------------------------------------------------------------


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
@click.argument("experiment", required=False)
@json_option
def runs(experiment: str | None, as_json: bool) -> None:
    """List the runs of the store, newest first."""
    store = Store.find()
    found = store.runs(experiment)
    if as_json:
        click.echo(json.dumps([_row(r, store) for r in found], indent=2))
        return
    from workbench.terminal import console, state_text, table

    if not found:
        console.print(
            f"There are no runs in {store.path} yet. Start one: workbench run certified/ibp arm=fast preset=tour"
        )
        return
    rows = [
        (r.id, r.experiment, r.arm or "–", str(r.seed), state_text(r.state), f"{max(r.step, 0):,} / {r.steps or '?'}")
        for r in found
    ]
    console.print(table(("run", "experiment", "arm", "seed", "state", "step"), rows))
    console.print(f"[dim]{store.path}[/dim]")


def _row(run: Run, store: Store) -> dict[str, Any]:
    from workbench.tracking import mlflow_run_id

    state, meta = run.state, run.reader.meta
    return {
        "id": run.id, "experiment": run.experiment, "state": state, "step": run.step, "steps": run.steps,
        "started": _started(run.id), "parent": run.parent or None, "seed": run.seed, "arm": run.arm or None,
        "pid": meta.get("pid"), "mlflow_run_id": mlflow_run_id(run), "store": str(store.path),
    }  # fmt: skip


def _started(run_id: str) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.strptime(run_id[:15], "%Y%m%d-%H%M%S"))


@main.command()
@click.argument("run")
def watch(run: str) -> None:
    """Follow a run live: sparklines, findings, interventions. Ctrl+C stops looking, not the run."""
    _follow([Store.find().run(run)])


# -- starting ---------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("experiment")
@click.argument("overrides", nargs=-1)
@click.option("--detach", is_flag=True, help="Start it and return; `workbench watch` looks in later.")
@json_option
def run(experiment: str, overrides: tuple[str, ...], detach: bool, as_json: bool) -> None:
    """Train an experiment, as in: workbench run certified/ibp arm=fast preset=tour epsilon=0.1 seed=3."""
    from workbench.runs import launch

    started = launch(experiment, overrides=_values(overrides))
    if detach or as_json:
        click.echo(json.dumps(_row(started, Store.find())) if as_json else started.id)
        if detach:
            return
    else:
        _follow([started])
    if started.wait() in ("failed", "lost"):
        click.echo(f"{started.id} {started.state}: {started.message}", err=True)
        sys.exit(1)


def _follow(found: list[Run]) -> None:
    from workbench.terminal import follow

    try:
        follow(found)
    except KeyboardInterrupt:
        for one in found:
            click.echo(
                f"{one.id} trains on; workbench watch {one.id} looks in, workbench stop {one.id} ends it.", err=True
            )
        sys.exit(130)


# -- steering ---------------------------------------------------------------------------------------------------------


@main.command("set")
@_steers
@click.argument("values", nargs=-1, required=True)
@click.option("--at-step", type=int, help="Take effect before this step.")
def set_(run: str, values: tuple[str, ...], at_step: int | None, wait: bool) -> None:
    """Move controls of a running run, as in: workbench set RUN epsilon=0.2 optimizer.lr=1e-4."""
    found = Store.find().run(run)
    _report(found, found.set(_values(values), at_step=at_step, source="cli"), wait)


@main.command()
@_steers
@click.argument("name")
def do(run: str, name: str, wait: bool) -> None:
    """Press one of the experiment's buttons (its actions), or ask for one of its probes."""
    found = Store.find().run(run)
    probes = [p.name for p in found.card.probes] if found.card else []
    _report(found, (found.probe if name in probes else found.action)(name, source="cli"), wait)


@main.command()
@_steers
def pause(run: str, wait: bool) -> None:
    """Hold a run before its next step."""
    found = Store.find().run(run)
    _report(found, found.pause(source="cli"), wait)


@main.command()
@_steers
def resume(run: str, wait: bool) -> None:
    """Let a paused run go on."""
    found = Store.find().run(run)
    _report(found, found.resume(source="cli"), wait)


@main.command()
@_steers
@click.argument("count", type=click.IntRange(min=1), default=1)
def step(run: str, count: int, wait: bool) -> None:
    """Train COUNT steps of a run, then pause it."""
    found = Store.find().run(run)
    _report(found, found.do_steps(count, source="cli"), wait)


@main.command()
@_steers
def stop(run: str, wait: bool) -> None:
    """End a run before its next step; what it recorded stays."""
    found = Store.find().run(run)
    _report(found, found.stop(source="cli"), wait)


def _report(found: Run, command: Any, wait: bool) -> None:
    """Say what became of a command; a refusal exits with 2."""
    if not wait:
        click.echo(f"sent as command {command.seq} of {found.id}")
        return
    record = found.wait_outcome(command)
    if record is None:
        when = f" It waits for step {command.at_step:,}." if command.at_step else ""
        click.echo(f"No outcome yet.{when} Look again: workbench watch {found.id}", err=True)
        return
    if record.outcome == "applied":
        change = ", ".join(f"{n} {record.old.get(n)} → {v}" for n, v in record.new.items())
        click.echo(f"{change or record.kind} applied at step {record.step:,}")
        return
    click.echo(f"{record.kind} {record.outcome}: {record.reason}", err=True)
    sys.exit(2)


# -- keeping house ----------------------------------------------------------------------------------------------------


@main.command()
@click.argument("run", required=False)
def sync(run: str | None) -> None:
    """Bring MLflow up to date with the store, now, and wait until it is."""
    from workbench.tracking import sync as sync_store

    store = Store.find()
    done = sync_store(store.path, runs=[store.run(run).id] if run else None)
    click.echo(str(done))


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
