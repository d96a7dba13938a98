"""A package of somebody's own with one method, found by its entry point; its runs take milliseconds once begun."""

from __future__ import annotations

import importlib
import sys
import time

import numpy as np

from workbench.cards import card
from workbench.journal import Command, CommandRecord, RunLock, Writer
from workbench.runs import compose
from workbench.runs.claims import reuse

CARD = '''
from dataclasses import dataclass

from workbench.cards import Action, Arm, Card, Claim, Comparison, Config, Paper, Preset, Signal, View, control


@dataclass
class Toy(Config):
    """Knobs."""

    steps: int = control(4, min=1, max=100_000, help="steps")
    gain: float = control(1.0, min=0, max=100, help="what the error is multiplied by")
    pause_ms: int = control(0, min=0, max=1000, help="how long a step takes")


CLAIMS = (
    Claim("halves", "Half the gain halves the error.", "The error is at least 0.1 lower.", arms=("half", "whole"),
          metric="error", margin=0.1, preset="smoke", seeds=(0, 1, 2),
          also=(Comparison(metric="claims:ratio", direction="higher", rule="exact"),)),
    Claim("beats_all", "Half the gain beats every other.", "Lower than the best of the others.",
          arms=("half", "whole", "whole gain=0.7"), metric="error", preset="smoke", seeds=(0, 1, 2)),
    Claim("adds_up", "One and one is two.", "For every seed.", metric="claims:adds_up", rule="exact",
          direction="higher", seeds=(0, 1), quick=True),
)
CARD = Card(
    title="Toy", paper=Paper("A paper", "Somewhere", 2020, "", 7), phenomenon="An error.", remedy="Less of it.",
    config=Toy,
    signals=(Signal("error", "the error", main=True),), views=(View("error", "Error", series=("error",)),),
    arms=(Arm("whole", "whole", "phenomenon", {"gain": 1.0}), Arm("half", "half", "remedy", {"gain": 0.5})),
    presets=(Preset("smoke", {"steps": 4}), Preset("tour"), Preset("full")), claims=CLAIMS,
    actions=(Action("shock", "Shock"),),
)
'''
MODULE = """
import time

from workbench.signals import emit


def train(config, session):
    noise = float(session.rng("data").random())
    for step in session.steps(config.steps):
        if config.gain > 50:
            raise RuntimeError("the gain is too much")
        time.sleep(config.pause_ms / 1000)
        emit("error", config.gain * (1 + noise))
"""
CLAIMS = """
def ratio(runs):
    return bool(runs[0]["error"].values[-1] < runs[1]["error"].values[-1])


def adds_up(seed):
    return 1 + 1 == 2
"""


def install(folder, monkeypatch):
    """Write the package into `folder` and let this process and its workers find it; returns the method's folder."""
    method = folder / "toy_methods" / "toys" / "toy"
    method.mkdir(parents=True)
    for package in (method.parent.parent, method.parent, method):
        (package / "__init__.py").write_text("")
    (method / "card.py").write_text(CARD)
    (method / "module.py").write_text(MODULE)
    (method / "claims.py").write_text(CLAIMS)
    about = folder / "toy_methods-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-methods\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[workbench.methods]\ntoy = toy_methods\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    forget()
    return method


def forget():
    """Let cards be looked for anew."""
    from workbench.cards import registry

    registry._modules.cache_clear()
    registry.card.cache_clear()
    for name in [n for n in sys.modules if n.partition(".")[0] == "toy_methods"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def trained(
    store, arm, seed, error, *, state="finished", code=None, commands=(), overrides=None, run=None, preset="smoke"
):
    """A run as a worker leaves it, written by the real writer."""
    tree = compose("toys/toy", arm=arm, preset=preset, seed=seed, overrides=overrides)
    tree["run"] |= run or {}
    made = store.create(tree)
    lock = RunLock.acquire(made.dir.lock)
    meta = {"steps": 4, "fingerprint": code or reuse.fingerprint(card("toys/toy")), "environment": {"python": "3.11"}}
    writer = Writer(made.dir, meta)
    writer.set_state("running")
    writer.append(np.arange(4), np.full(4, time.time()), {"error": np.full(4, float(error))})
    for number, (kind, source, outcome) in enumerate(commands, 1):
        command = Command(number, kind, {}, None, source, time.time())
        writer.record_commands([CommandRecord.of(command, outcome, step=2)])
    writer.close(state)
    lock.release()
    return made


def all_six(store):
    """Three seeds of both arms, half an error against a whole one."""
    for seed in (0, 1, 2):
        trained(store, "half", seed, 1.0 + seed / 10)
        trained(store, "whole", seed, 2.0 + seed / 5)
