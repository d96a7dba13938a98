"""Commands that steer a run; each waits for its outcome."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from workbench.cli.group import main, warn_of_differences
from workbench.cli.group import values as parsed
from workbench.runs import Run, Store

_PATIENCE = 10.0  # seconds for an outcome


def _steers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every command that waits for an outcome."""
    wait = click.option("--wait/--no-wait", default=True, help="Wait up to 10 s for the outcome.")
    return wait(click.argument("run")(function))


@main.command("set")
@_steers
@click.argument("values", nargs=-1, required=True)
@click.option("--at-step", type=int, help="Take effect before this step.")
def set_(run: str, values: tuple[str, ...], at_step: int | None, wait: bool) -> None:
    """Move controls of a running run, as in: workbench set RUN epsilon=0.2 optimizer.lr=1e-4."""
    found = Store.find().run(run)
    _report(found, found.set(parsed(values), at_step=at_step, source="cli"), wait)


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
    """Let a paused or ended run go on.

    A stopped, failed or lost one goes on from its last checkpoint and ends as if nothing had happened.
    """
    found = Store.find().run(run)
    if not found.ended:
        _report(found, found.resume(source="cli"), wait)
        return
    warn_of_differences(found)
    kept = found.checkpoints
    found.restart()
    whence = f"the checkpoint of step {kept[-1].step:,}" if kept else "its beginning"
    end = time.monotonic() + _PATIENCE
    while wait and found.state in ("queued", "starting") and time.monotonic() < end:
        time.sleep(0.05)
    if found.state in ("failed", "lost"):
        click.echo(f"{found.id} {found.state}: {found.message}", err=True)
        sys.exit(1)
    click.echo(f"{found.id} goes on from {whence}; look in with: workbench watch {found.id}")


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
