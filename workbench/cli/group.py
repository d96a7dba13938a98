"""The command `workbench` itself, and what its parts share."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from workbench.cards import WorkbenchError
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


def values(overrides: tuple[str, ...]) -> dict[str, Any]:
    """Overrides as typed, as a dict."""
    from workbench.runs import parse

    return parse(overrides)


def row_of(run: Run, store: Store) -> dict[str, Any]:
    """A run as one row of JSON."""
    from workbench.runs.remarks import remarks
    from workbench.tracking import mlflow_run_id

    said = remarks(run)
    state, meta = run.state, run.reader.meta
    return {
        "id": run.id, "experiment": run.experiment, "state": state, "step": run.step, "steps": run.steps,
        "started": _started(run.id), "parent": run.parent or None, "seed": run.seed, "arm": run.arm or None,
        "pid": meta.get("pid"), "mlflow_run_id": mlflow_run_id(run), "store": str(store.path),
        "fork_step": run.fork_step, "replay_of": run.replay_of or None, "name": said["name"] or None,
        "star": said["star"], "archived": said["archived"],
    }  # fmt: skip


def _started(run_id: str) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.strptime(run_id[:15], "%Y%m%d-%H%M%S"))


def follow(found: list[Run]) -> None:
    """Show runs live until they have ended; Ctrl+C stops looking, not the runs."""
    from workbench.terminal import follow as show

    try:
        show(found)
    except KeyboardInterrupt:
        for one in found:
            click.echo(
                f"{one.id} trains on; workbench watch {one.id} looks in, workbench stop {one.id} ends it.", err=True
            )
        sys.exit(130)


def warn_of_differences(run: Run) -> None:
    """Say what is not as it was when the run began, before another is made from it."""
    from workbench.runs.environment import differences

    for text in differences(run.reader.meta.get("environment") or {}):
        click.echo(f"Not as it was: {text}", err=True)


def exit_for(run: Run) -> None:
    """Wait for a run's end; exit with 1 if it failed or was lost."""
    if run.wait() in ("failed", "lost"):
        click.echo(f"{run.id} {run.state}: {run.message}", err=True)
        sys.exit(1)
