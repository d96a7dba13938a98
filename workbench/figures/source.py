"""Which runs a panel shows: those of one experiment in a store, newest first, and how new ones are started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.cards import Card, NotAllowed, WorkbenchError
from workbench.journal import RunDir
from workbench.runs import FINAL, Run, Store, compose, launch, new_group
from workbench.runs.remarks import remarks

_RECENT = 100
REPLACED = "replaced_by"  # note of a run from which somebody stepped back: the run shown in its place


class StoreRuns:
    """The runs of an experiment in a store.

    Args:
        card: the experiment's card.
        store: the folder of runs; None: found from the working directory.
    """

    def __init__(self, card: Card, store: Store | None = None) -> None:
        self.card = card
        self.store = store or Store.find()

    def folder(self, run_id: str) -> RunDir:
        """The folder of a run of this experiment, by id."""
        run = self.store.run(run_id)
        if run.experiment != self.card.id:
            raise NotAllowed(f"{run.id} is a run of {run.experiment}; this panel shows {self.card.id}.")
        return run.dir

    def newest(self, *, ended: bool = False) -> list[RunDir]:
        """Folders of the newest group of runs that has not ended (`ended=True`: of any), arms in the card's order.

        Forks are of their parent's group; what was archived or stepped back from is left out.
        """
        group: list[Run] = []
        for run in self._recent():
            if group and (not run.group or run.group != group[0].group):
                break
            if (group or ended or run.state not in FINAL) and not _aside(run):
                group.append(run)
        order = [a.name for a in self.card.arms]
        group.sort(key=lambda r: (order.index(r.arm) if r.arm in order else len(order), r.id))
        return [r.dir for r in group]

    def listing(self) -> list[dict[str, Any]]:
        """The newest runs (at most 100) as rows of a table."""
        return [
            {
                "id": r.id, "arm": r.arm, "label": r.label, "state": r.state, "group": r.group, "preset": r.preset,
                "seed": r.seed, "steps": r.steps, "step": r.step, "started": r.reader.meta.get("started"),
                "kind": r.kind, "parent": r.replay_of or r.parent, "fork_step": r.fork_step, **remarks(r),
            }
            for r in self._recent()
        ]  # fmt: skip

    def start(self, arms: Sequence[str], preset: str, seed: int, values: Mapping[str, Any]) -> list[RunDir]:
        """Start one run an arm, all of one group with the same seed and values; all are checked before the first."""
        names = [arm or None for arm in arms] or [None]
        for arm in names:
            compose(self.card.id, arm=arm, preset=preset or None, seed=seed, overrides=values)
        group = new_group()
        started = []
        for arm in names:
            run = launch(
                self.card.id, arm=arm, preset=preset or None, seed=seed, overrides=values, group=group, store=self.store
            )
            started.append(run.dir)
        return started

    def _recent(self) -> list[Run]:
        slug = self.card.id.replace("/", "-").replace("_", "-")
        found: list[Run] = []
        for run_id in self.store.ids():
            if slug not in run_id:
                continue
            try:
                run = Run.open(RunDir(self.store.path / run_id))
            except WorkbenchError:
                continue  # a folder without a readable configuration is not a run
            if run.experiment == self.card.id:
                found.append(run)
            if len(found) == _RECENT:
                break
        return found


def _aside(run: Run) -> bool:
    notes = run.notes.all()
    return bool(notes.get("archived") or notes.get(REPLACED))
