"""Run folders as a worker leaves them, written by the real writer: for comparing, lineage and keeping house."""

from __future__ import annotations

import time

import numpy as np

from workbench.journal import Command, CommandRecord, RunLock, Writer
from workbench.runs import Run, Store

START = 1_700_000_000.0


class Recorded:
    """A run that this process writes while it holds the run's lock."""

    def __init__(self, store=None, *, first=0, steps=100, experiment="my/idea", config=None, **lineage):
        tree = {
            "experiment": experiment, "seed": 3, "arm": "", "preset": "", "run": {"name": "", "group": "", **lineage},
            "tracking": {"mlflow": False}, "rules": [], "steps": steps, "epsilon": 0.1, "optimizer": {"lr": 0.001},
            **(config or {}),
        }  # fmt: skip
        self.run: Run = (store or Store.find()).create(tree)
        self.lock = RunLock.acquire(self.run.dir.lock)
        self.writer = Writer(self.run.dir, {"steps": steps})
        self.writer.set_state("running")
        self.step = first

    def train(self, count, **columns):
        """Record `count` steps: a loss, and any other signals (name → values by step, or one for all)."""
        steps = np.arange(self.step, self.step + count)
        made = {"loss": np.exp(-steps / 50), **{n: make(steps) for n, make in columns.items()}}
        times = time.time() + steps * 1e-6  # of this recording: no two runs have the same times
        for name, values in made.items():
            values = np.asarray(values)
            if values.ndim == 1 and values.dtype == np.float64:
                self.writer.append(steps, times, {name: values})
            else:
                self.writer.append_array(name, steps, times, values)
        self.step += count
        return self

    def say(self, name, step, text):
        self.writer.append_text(name, step, time.time(), text)
        return self

    def move(self, seq, step, source="notebook", **values):
        """An applied intervention before `step`."""
        command = Command(seq, "set", {"values": values}, None, source, time.time())
        old = dict.fromkeys(values, 0.1)
        self.writer.record_commands([CommandRecord.of(command, "applied", step=step, old=old, new=values)])
        return self

    def press(self, seq, step, name):
        command = Command(seq, "action", {"name": name}, None, "notebook", time.time())
        self.writer.record_commands([CommandRecord.of(command, "applied", step=step)])
        return self

    def checkpoint(self, step, *, size=1000, file=None):
        """A finished checkpoint whose file holds `size` bytes."""
        self.run.dir.checkpoints.mkdir(exist_ok=True)
        path = self.run.dir.checkpoints / (file or f"step{step:09d}-0-0.pt")
        path.write_bytes(b"x" * size)
        self.writer.checkpoint(step, path.name, size, "0" * 64, 0)
        return self

    def end(self, state="finished", weights=None) -> Run:
        if weights is not None:
            self.writer.set_meta("weights", weights)
        self.writer.close(state)
        self.lock.release()
        return self.run

    def die(self) -> Run:
        """Killed: the lock is free, nothing was sealed."""
        self.writer.flush(full=True)
        self.lock.release()
        return self.run
