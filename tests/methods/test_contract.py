"""What every experiment must keep, found by walking: a new method is tested without asking."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import RESERVED, Card, card, experiments
from workbench.cards.controls import flat
from workbench.cards.declarations import KINDS, SHAPES
from workbench.detectors import load, scan
from workbench.runs import Store, compose, launch

EXPERIMENTS = experiments()
JOURNALS = Path(__file__).parents[1] / "golden" / "journals"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_card_is_light(experiment):
    heavy = "{'torch', 'lightning', 'mlflow', 'pandas'} & set(sys.modules)"
    code = (
        f"import sys; from workbench.cards import card; card({experiment!r}); sys.exit(repr({heavy}) if {heavy} else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_card_agrees_with_itself(experiment):
    found: Card = card(experiment)
    signals = {s.name for s in found.signals}
    assert len(signals) == len(found.signals)
    assert {s.shape for s in found.signals} <= set(SHAPES)
    assert {v.kind for v in found.views} <= set(KINDS)
    assert len({v.id for v in found.views}) == len(found.views)
    for view in found.views:
        names = {s.signal for s in view.lines()} | {n for band in view.bands for n in band}
        names |= {r.value for r in view.references if isinstance(r.value, str)}
        assert names <= signals, f"{view.id} draws {names - signals}, which no signal declares"
    leaves = flat(found.config())
    assert not {n.split(".")[0] for n in leaves if not n.startswith("optimizer.")} & set(RESERVED)
    arms = {a.name for a in found.arms}
    for preset in found.presets:
        assert set(preset.arms) <= arms
    assert {p.name for p in found.presets} >= {"smoke", "tour", "full"}
    assert {a.role for a in found.arms} >= {"phenomenon", "remedy"}
    for c in found.controls.values():
        assert c.help, f"{c.name} has no help"
        assert c.check(c.default) == c.default or c.kind == "choice"
    for signal in found.signals:
        assert signal.meaning, f"{signal.name} has no meaning"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_arm_and_preset_composes(experiment):
    found = card(experiment)
    for arm in found.arms:
        for preset in found.presets:
            assert compose(experiment, arm=arm.name, preset=preset.name)["arm"] == arm.name


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_detectors_load_and_need_what_there_is(experiment):
    found = card(experiment)
    names = {s.name for s in found.signals} | set(found.controls)
    for detector in load(found):
        assert any(detector.wants(n) for n in names), f"{detector.id} needs {detector.needs}, which nobody emits"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_detectors_fire_on_the_phenomenon_and_not_on_the_remedy(experiment):
    """On recordings of the tour's arms (`make record`): something is found, and the remedy's ends without it."""
    found = card(experiment)
    recorded = np.load(JOURNALS / f"{experiment.replace('/', '__')}.npz")
    named, generic = {d.id for d in load(found)}, {d.id for d in load(None)}
    assert set(found.clears) <= named
    own = named - generic | set(found.clears)
    for name in found.preset("tour").arms:
        signals = [n for n in recorded.files if n.startswith(f"{name}.") and not n.endswith(".steps")]
        columns = {n.split(".", 1)[1]: (recorded[f"{n}.steps"], recorded[n]) for n in signals}
        findings = [f for f in scan(columns, load(found)) if f.id in own]
        role = found.arm(name).role
        if role == "phenomenon":
            assert findings, f"nothing is found on {name}"
        elif role == "remedy":
            for f in findings:
                newest = max(int(columns[s][0][-1]) for s in f.signals if s in columns)  # that was looked at
                still = f.last is None or f.last >= newest
                assert not (still and f.id in (found.clears or own)), f"{name} ends with: {f.sentence}"


@pytest.fixture(scope="module", params=EXPERIMENTS)
def smoke(request, tmp_path_factory):
    """A smoke run of the remedy's arm, and the card."""
    found = card(request.param)
    arm = next(a.name for a in found.arms if a.role == "remedy")
    home = Store(tmp_path_factory.mktemp("contract") / "store")
    run = launch(request.param, arm=arm, preset="smoke", overrides={"tracking": "off"}, store=home)
    assert run.wait(240) == "finished", f"{run.message}\n{run.dir.log.read_text()}"
    return run, found


def test_a_smoke_run_emits_what_the_card_declares_and_can_be_repeated(smoke):
    run, found = smoke
    always = {s.name for s in found.signals if not s.only}
    assert always <= set(run.reader.names()) <= {s.name for s in found.signals}
    assert not run.reader.events(["warning", "error"])
    assert run.reader.meta["exact"]["ok"], run.reader.meta["exact"]["text"]
    for name, kind in run.reader.names().items():
        signal = found.signal(name)
        assert (kind == "scalar") == (signal.shape == "scalar"), name
        if signal.shape == "vector" and signal.labels:
            assert run.reader.array_at(name)[1].shape == (len(signal.labels),)


def test_a_replay_of_a_smoke_run_is_the_same_to_the_bit(smoke):
    run, _ = smoke
    again = run.replay()
    assert again.wait(240) == "finished", f"{again.message}\n{again.dir.log.read_text()}"
    compared = run.identical_to(again)
    assert compared, str(compared)


def test_a_fork_of_a_smoke_run_without_changes_is_the_same_from_there_on(smoke):
    run, _ = smoke
    child = run.fork(max(1, (2 * run.steps) // 3))
    assert child.wait(240) == "finished", f"{child.message}\n{child.dir.log.read_text()}"
    compared = run.identical_to(child)
    assert compared, str(compared)
