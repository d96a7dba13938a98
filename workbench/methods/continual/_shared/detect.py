"""Detectors of the family: a task that is being forgotten, and the dip at a task's border that partly recovers.

Both read `probe_accuracy` (tasks,), in per cent on a fixed probe of each task, and `task`, the one being trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors import Detector

DROP = 15.0  # points below a task's own best accuracy
LASTING = 3  # probes in a row


class PerTask(Detector):
    """Base: follows every old task's accuracy against its own best since it was begun.

    A task's memory: `best`; `bad`, how many probes in a row were more than `DROP` below it; `first` and `last`, the
    first and the latest step of that; `worst`, the largest drop in it; `told`, the drop when it was last told.
    """

    needs = ("probe_accuracy", "task")
    FRESH: ClassVar[dict[str, float]] = {"best": 0.0, "bad": 0, "first": -1, "last": -1, "worst": 0.0, "told": 0.0}

    def __init__(self) -> None:
        super().__init__()
        self.current = -1
        self.tasks: list[dict[str, float]] = []

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.current = int(values.get("task", self.current))
        if "probe_accuracy" not in values or self.current < 0:
            return
        accuracy = np.asarray(values["probe_accuracy"], dtype=np.float64)
        while len(self.tasks) < len(accuracy):
            self.tasks.append(dict(self.FRESH))
        for k in range(min(self.current + 1, len(accuracy))):
            memory = self.tasks[k]
            memory["best"] = max(memory["best"], float(accuracy[k]))
            if k < self.current:
                yield from self.judge(step, k, memory, memory["best"] - float(accuracy[k]))

    def judge(self, step: int, task: int, memory: dict[str, float], drop: float) -> Iterator[Finding]:
        """Findings of one old task, `drop` points below its best; keeps the memory."""
        raise NotImplementedError

    @staticmethod
    def suffer(step: int, memory: dict[str, float], drop: float) -> None:
        """One more probe that is too low."""
        if not memory["bad"]:
            memory["first"], memory["worst"] = step, 0.0
        memory["bad"] += 1
        memory["last"], memory["worst"] = step, max(memory["worst"], drop)

    def forget(self, memory: dict[str, float]) -> None:
        """Begin anew, but keep the best."""
        memory.update({k: v for k, v in self.FRESH.items() if k != "best"})

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"current": self.current, "tasks": [dict(m) for m in self.tasks]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.current, self.tasks = int(state["current"]), [dict(m) for m in state["tasks"]]


class Forgetting(PerTask):
    """An old task's accuracy is more than 15 points below its own best for 3 probes in a row."""

    id = "forgetting"
    title = "Forgetting"
    remedy = (
        "A larger buffer or more replayed images a step; DER++ or ER-ACE instead of plain replay. With batch norm, put "
        "new and replayed images through the network together."
    )

    def judge(self, step: int, task: int, memory: dict[str, float], drop: float) -> Iterator[Finding]:
        """See `PerTask.judge`; it is over at the first probe within 15 points."""
        if drop > DROP:
            self.suffer(step, memory, drop)
            if memory["bad"] == LASTING or (memory["bad"] > LASTING and drop >= 2 * memory["told"]):
                memory["told"] = drop
                yield self._finding(task, memory, None)
            return
        if memory["bad"] >= LASTING:
            yield self._finding(task, memory, int(memory["last"]))
        self.forget(memory)

    def finish(self, step: int) -> Iterable[Finding]:
        """What is still forgotten at the end."""
        for task, memory in enumerate(self.tasks):
            if memory["bad"] >= LASTING:
                yield self._finding(task, memory, int(memory["last"]))

    def _finding(self, task: int, memory: dict[str, float], last: int | None) -> Finding:
        worst, best = memory["worst"], memory["best"]
        severity = "info" if worst < 25 else "warning" if worst < 50 else "serious"
        first = int(memory["first"])
        until = f"since step {first}" if last is None else f"from step {first} to {last}"
        return Finding(
            id=self.id, title=self.title, first=first, last=last, remedy=self.remedy, severity=severity,
            sentence=f"Task {task} fell up to {worst:.0f} points below its best of {best:.0f} %, {until}.",
            evidence={"task": task, "drop": worst, "best": best}, signals=("probe_accuracy",), subject=f"task {task}",
        )  # fmt: skip


class StabilityGap(PerTask):
    """An old task's accuracy collapses as a new one begins, and half of the fall is made good within 200 steps."""

    id = "stability_gap"
    title = "Stability gap"
    remedy = "The dip itself costs: a smaller learning rate over the border, or more replayed images a step."
    WITHIN: ClassVar[int] = 200

    def judge(self, step: int, task: int, memory: dict[str, float], drop: float) -> Iterator[Finding]:
        """See `PerTask.judge`; told once, when it has recovered."""
        if drop > DROP or (memory["bad"] and drop > memory["worst"] / 2):
            self.suffer(step, memory, drop)
            return
        if memory["bad"] >= LASTING and step - memory["first"] <= self.WITHIN:
            first, worst = int(memory["first"]), memory["worst"]
            yield Finding(
                id=self.id, title=self.title, first=first, last=step, remedy=self.remedy, severity="info",
                sentence=f"Task {task} fell {worst:.0f} points below its best of {memory['best']:.0f} % and recovered "
                f"to {drop:.0f} points below it within {step - first} steps.",
                evidence={"task": task, "fell": worst, "left": drop, "steps": step - first},
                signals=("probe_accuracy",), subject=f"task {task}",
            )  # fmt: skip
        self.forget(memory)
