"""A card with every kind of chart, and journals written for it with the real writer: shapes drawn by formula."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.cards import Action, Arm, Card, Config, Finding, Paper, Preset, Probe, Reference, Series, Signal, View
from workbench.cards import control as declare
from workbench.cards.controls import plain
from workbench.figures.feed import Feed
from workbench.figures.source import StoreRuns
from workbench.journal import RunLock, Writer
from workbench.runs import Run, Store
from workbench.signals import responses, tokens

LAYERS = tuple(f"layer {i}" for i in range(1, 7))
START = 1_700_000_000.0


@dataclass
class WaveConfig(Config):
    """Knobs of the drawn experiment."""

    epsilon: float = declare(0.1, min=0, max=0.5, unit="pixel", group="Box", help="half-width")
    ramp: int = declare(5, min=0, max=20, when="stage", stage="epoch", group="Box")
    tight: bool = declare(True)
    init: str = declare("ibp", choices=("ibp", "default"), when="launch")
    note: str = declare("none")


CARD = Card(
    id="demo/waves",
    title="Waves",
    subtitle="drawn by formula",
    paper=Paper("On Waves", "Journal of Tests", 2026, "https://example.org/waves"),
    phenomenon="The wave breaks.",
    remedy="A wall.",
    config=WaveConfig,
    signals=(
        Signal("loss", "distance", main=True),
        Signal("err", unit="%"),
        Signal("pgd", unit="%"),
        Signal("eps", unit="pixel"),
        Signal("width", shape="vector", labels=LAYERS),
        Signal("active", shape="vector", axis="layer"),
        Signal("inactive", shape="vector", axis="layer"),
        Signal("margins", shape="histogram", edges=(-1.0, 1.0, 8)),
        Signal("boxes", shape="image", labels=("a", "b")),
        Signal("verdicts", shape="text"),
        Signal("responses", shape="responses"),
        Signal("confusion", shape="matrix", labels=("cat", "dog")),
        Signal("mixes", unit="%", shape="matrix", labels=("tidal", "swell", "wind", "height")),
        Signal("mix", shape="vector"),
        Signal("routes", shape="tokens", axis="layer"),
        Signal("load", shape="matrix", axis="layer × domain × expert", sides=((), ("code", "prose"), ())),
    ),
    views=(
        View(
            "loss", "Loss", series=("loss",), scale="log",
            references=(Reference(1.0, "chance"), Reference("eps", "ε")),
        ),
        View(
            "error", "Error", series=(Series("err", "verified"), Series("pgd", "PGD", dash=True)), unit="%",
            bands=(("pgd", "err"),), range=(0, 100),
        ),
        View("width", "Width", series=("width",), scale="log"),
        View(
            "states", "States", kind="area", per_run=True,
            series=(Series("active", "active"), Series("inactive", "inactive")),
        ),
        View("schedule", "Schedule", series=(Series("eps", "ε", color="ink"),), range=(0, None)),
        View("bars", "Width now", kind="bars", series=("width",)),
        View("hist", "Margins", kind="histogram", series=("margins",)),
        View("heat", "Heat", kind="heatmap", series=("width",), per_run=True),
        View("matrix", "Confusion", kind="matrix", series=("confusion",), per_run=True),
        View("boxes", "Boxes", kind="image", series=("boxes", "verdicts"), per_run=True),
        View("front", "Front", kind="scatter", series=(Series("err", "verified"), "pgd"), range=(0, 100)),
        View("layers", "By layer", kind="scatter", series=("active", "inactive")),
        View("words", "Words", kind="text", series=("verdicts",)),
        View("answers", "Answers", kind="responses", series=("responses",)),
        View("mixes", "Mixtures", kind="ternary", series=("mixes", "mix"), range=(0, None)),
        View("routes", "Routes", kind="tokens", series=("routes",), subtitle="where each byte went"),
        View("load", "Load", kind="matrix", series=("load",), per_run=True, range=(0, 1), center=1 / 3),
    ),
    arms=(
        Arm("broken", "broken", role="phenomenon", overrides={"init": "default"}),
        Arm("mended", "mended", role="remedy"),
        Arm("half", "half", role="ablation"),
    ),
    presets=(Preset("tour", {"steps": 400}, arms=("broken", "mended")), Preset("smoke", {"steps": 20})),
    actions=(Action("shock", "Shock"),),
    probes=(Probe("look", "Look"),),
    reconstruction="the wall's height is a guess",
    notes=("Drawn, not measured.",),
)  # fmt: skip


def answers(step: int) -> list[dict[str, Any]]:
    """Responses made up for a step: right, half right, wrong, and without a reward."""
    return [
        {"prompt": "R 3 5 1 =", "text": f"3 3 5 8 1 9 V A {step % 10} <eos>", "reward": 1.0, "note": "2 passes"},
        {"prompt": "R 4 4 =", "text": "4 4 4 8 A 8 <eos>", "reward": 0.5},
        {"prompt": "C a b =", "text": "A a b", "reward": 0.0, "note": "cut off"},
        {"text": "1 < 2 & b\nnext"},
    ]


#: Every mixture of three in quarters, and a value that is highest in the middle; shape (15, 4).
MIXES = np.array([
    (a / 4, b / 4, (4 - a - b) / 4, 100 * a * b * (4 - a - b) / 2.37) for a in range(5) for b in range(5 - a)
])  # fmt: skip
TEXT = ("th", "e", " cat", "\n", "\x07", b"\xc3".decode(errors="surrogateescape"), "<eos>", " mat")


def routes(step: int) -> str:
    """A text whose tokens go round four experts with the steps; the last is dropped in the second layer."""
    first = (np.arange(8) + step // 20) % 3
    return tokens(TEXT, np.stack([first, np.where(np.arange(8) == 7, -1, 3)]), ("sea", "lake"), "the test text")


@dataclass
class Recording:
    """A run that this process writes, as its worker would."""

    run: Run
    writer: Writer
    lock: RunLock
    step: int = 0
    phase: float = 0.0
    sparse: int = 20
    closed: bool = field(default=False)

    def go(self, count: int, *, nan_at: tuple[int, ...] = (), flush: bool = True) -> Recording:
        """Record `count` more steps."""
        steps = np.arange(self.step, self.step + count)
        wave = np.sin(steps / 7 + self.phase)
        loss = np.exp(-steps / 200) * (2 + wave)
        loss[np.isin(steps, nan_at)] = np.nan
        self.writer.append(steps, START + steps * 0.01, {"loss": loss, "eps": np.minimum(0.1, steps / 2000)})
        layers = np.arange(1, 7)
        self.writer.append_array("width", steps, START + steps, np.exp(layers[None, :] * (1 + 0.1 * wave[:, None])))
        share = np.clip(0.5 + 0.3 * wave[:, None] * layers[None, :3] / 3, 0, 1)
        self.writer.append_array("active", steps, START + steps, share.astype(np.float32))
        self.writer.append_array("inactive", steps, START + steps, (1 - share).astype(np.float32))
        if self.step == 0:
            self.writer.append_array("mixes", [0], [START], MIXES[None])
            self.writer.append_array("mix", [0], [START], np.array([[0.5, 0.25, 0.25]]))
        few = steps[steps % self.sparse == 0]
        if few.size:
            err = 90 * np.exp(-few / 300) + 5
            self.writer.append(few, START + few, {"err": err, "pgd": err * 0.8})
            counts = np.tile(np.arange(8), (few.size, 1)) + few[:, None]
            self.writer.append_array("margins", few, START + few, counts)
            self.writer.append_array("boxes", few, START + few, np.full((few.size, 2, 4, 4), 255, np.uint8))
            self.writer.append_array("confusion", few, START + few, np.tile(np.eye(2) * 0.9, (few.size, 1, 1)))
            for s in few:
                self.writer.append_text("verdicts", int(s), START + float(s), f"certified at {s}\nnot certified")
                self.writer.append_text("responses", int(s), START + float(s), responses(answers(int(s)), ("V",)))
                self.writer.append_text("routes", int(s), START + float(s), routes(int(s)))
            self.writer.append_array("load", few, START + few, np.full((few.size, 2, 2, 3), 1 / 3) + np.eye(2, 3) / 2)
        self.step += count
        if flush:
            self.writer.flush()
        return self

    def find(self, first: int, last: int | None) -> Recording:
        """A detector's finding on the loss."""
        words = "The loss is up."
        finding = Finding("break", "wave breaks", first, words, last=last, remedy="Wall.", signals=("loss",))
        self.writer.event("finding", finding.to_json(), step=last or first)
        return self

    def end(self, state: str = "finished", message: str = "") -> Recording:
        """Close the journal and let the lock go."""
        if not self.closed:
            self.closed = True
            self.writer.close(state, message)
            self.lock.release()
        return self


def record(
    store: Path | Store,
    arm: str = "mended",
    *,
    steps: int = 400,
    group: str = "g1",
    seed: int = 0,
    first: int = 0,
    **lineage: Any,
) -> Recording:
    """A new run of the drawn experiment in the store, running; `lineage` as in its configuration's `run`."""
    store = store if isinstance(store, Store) else Store(store)
    overrides = CARD.arm(arm).overrides
    config = {**plain(WaveConfig()), "steps": steps, **overrides}
    tree: dict[str, Any] = {
        "experiment": CARD.id, "seed": seed, "arm": arm, "preset": "tour",
        "run": {"group": group, "flush_ms": 250, **lineage},
        **config,
    }  # fmt: skip
    run = store.create(tree)
    lock = RunLock.acquire(run.dir.lock)
    controls = {name: asdict(c) for name, c in CARD.controls.items()}  # as a session declares them
    writer = Writer(run.dir, {"experiment": CARD.id, "seed": seed, "steps": steps, "controls": controls})
    writer.set_state("running")
    return Recording(run, writer, lock, step=first, phase=float(len(arm)))


def feed_of(store: Path | Store, **options: Any) -> Feed:
    """A feed on the drawn experiment."""
    return Feed(StoreRuns(CARD, store if isinstance(store, Store) else Store(store)), CARD, **options)
