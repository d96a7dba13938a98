"""Runs written by a real journal writer, for the mirror's tests."""

import time

import numpy as np

from workbench.cards import Finding
from workbench.journal import Command, CommandRecord, RunLock, Writer
from workbench.runs import Store

START = 1_700_000_000.0


def tree(experiment="my/idea", **more):
    """The configuration of a run without a card."""
    return {
        "experiment": experiment, "seed": 3, "arm": None, "preset": None, "run": {"name": "", "group": "g1"},
        "tracking": {"mlflow": True, "resolution": "thinned"}, "rules": [], "steps": 400, "epsilon": 0.1,
        "optimizer": {"lr": 0.001}, **more,
    }  # fmt: skip


class Training:
    """A run that is being trained by this test: it holds the lock and writes the journal."""

    def __init__(self, store, **more):
        self.run = Store(store).create(tree(**more))
        self.lock = RunLock.acquire(self.run.dir.lock)
        self.writer = Writer(self.run.dir, {"environment": {"python": "3.11", "packages": {"numpy": "2.4"}}})
        self.writer.set_meta("steps", self.run.config["steps"])
        self.writer.set_state("running")
        self.step = 0

    def train(self, count, **series):
        """Record `count` steps of a falling loss and of `series` (name → function of the steps)."""
        steps = np.arange(self.step, self.step + count)
        times = START + 0.01 * steps
        columns = {"loss": 2 * np.exp(-steps / 100) + 0.01 * np.sin(steps)}
        columns |= {name: np.asarray(make(steps), float) for name, make in series.items() if np.ndim(make(steps)) == 1}
        self.writer.append(steps, times, columns)
        for name, make in series.items():
            if np.ndim(make(steps)) > 1:
                self.writer.append_array(name, steps, times, make(steps))
        self.writer.flush()
        self.step += count
        return self

    def move(self, name, old, new):
        """An applied intervention before the present step."""
        seq = 1 + len(self.run.reader.commands())
        command = Command(seq, "set", {"values": {name: new}}, None, "notebook", time.time())
        self.writer.record_commands(
            [CommandRecord.of(command, "applied", step=self.step, old={name: old}, new={name: new})]
        )
        self.run.refresh()
        return self

    def find(self, **more):
        finding = Finding(id="spike", title="Spike", first=5, last=6, sentence="loss jumped.", remedy="Wait.", **more)
        self.writer.event("finding", finding.to_json(), step=self.step)
        return self

    def end(self, state="finished"):
        self.writer.close(state)
        self.lock.release()
        return self.run

    def die(self):
        """Killed: the lock is free, nothing was sealed."""
        self.writer.flush(full=True)
        self.lock.release()
        return self.run
