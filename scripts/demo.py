"""`make demo`: the tour's experiment in the terminal. Two arms train, ε moves half-way, MLflow gets its copy.

Stops both arms at step 1,500; a few minutes at most.
"""

from __future__ import annotations

import argparse
import math
import time

from rich.rule import Rule

from workbench.cards import WorkbenchError, card
from workbench.runs import Run, Store, launch, new_group
from workbench.terminal import console, finding_line, follow, sparkline, table

EXPERIMENT = "certified/ibp"
STEPS, MOVE = 1500, 750
MOVED = {"epsilon": 0.12}


def main() -> int:
    """Run the demo; 0 if both arms ended as planned."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--preset", default="tour")
    options.add_argument("--steps", type=int, default=STEPS, help="stop both arms before this step")
    asked = options.parse_args()
    found = card(EXPERIMENT)
    console.print(Rule(found.title))
    console.print(f"{found.phenomenon}\n{found.remedy}\n")
    started = time.monotonic()
    group = new_group()
    move = min(MOVE, asked.steps // 2)
    runs = []
    for arm in found.preset("tour").arms:
        # Commands are in the inbox before the worker is: they cannot come too late.
        run = launch(EXPERIMENT, arm=arm, preset=asked.preset, overrides={"steps": asked.steps}, group=group)
        run.set(MOVED, at_step=move, source="demo")
        runs.append(run)
    console.print(
        f"Two arms, the same images in the same order; epsilon moves to {MOVED['epsilon']:g} at step {move:,}."
    )
    console.print(f"Store: {runs[0].dir.path.parent}\n")
    follow(runs)
    return summary(runs, time.monotonic() - started)


def summary(runs: list[Run], seconds: float) -> int:
    """Print findings and final figures, bring MLflow up to date, and say how the runs ended."""
    console.print(Rule(f"after {seconds:.0f} s"))
    for run in runs:
        for finding in run.findings:
            console.print(finding_line(run, finding))
    names = ("clean_err", "pgd_err", "certified_err", "loss")
    rows = [
        (run.label, *(f"{_last(run, n):.1f}" for n in names), sparkline(run["certified_err"].values)) for run in runs
    ]
    console.print(
        table(("arm", "clean error %", "attacked %", "certified %", "loss", "certified error over time"), rows)
    )
    from workbench.tracking import sync, ui_command

    store = Store.find()
    console.print(str(sync(store.path, runs=[r.id for r in runs])))
    console.print(f"Open MLflow: {ui_command(store.path)}")
    console.print(f"Look again: workbench watch {runs[-1].id}")
    ended = all(r.state in ("finished", "stopped") for r in runs)
    return 0 if ended else 1


def _last(run: Run, name: str) -> float:
    values = run[name].values
    return float(values[-1]) if len(values) else math.nan


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except WorkbenchError as error:
        console.print(str(error))
        raise SystemExit(error.exit_code) from None
