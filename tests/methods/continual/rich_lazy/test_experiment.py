"""The laboratory: every setting trains to its loss, forks are exact, bad settings are refused; regimes are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import card
from workbench.cards.errors import InvalidValue
from workbench.detectors import load, scan
from workbench.methods.continual.rich_lazy.detect import LazyRegime, RichRegime
from workbench.runs import Store, compose, launch

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "continual__rich_lazy.npz"
OFF = {"tracking": "off"}


def finished(run):
    assert run.wait(240) == "finished", f"{run.message}\n{run.dir.log.read_text()}"
    return run


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("rich_lazy") / "store")


def test_a_rule_is_swapped_where_the_loss_is_reached_and_a_fork_behind_it_is_exact(store):
    changes = {"tasks": 3, "stop_loss": 0.2, "steps": 900, "optimizer.lr": 0.05, "run.checkpoint_every": 5, **OFF}
    run = finished(launch("continual/rich_lazy", arm="rank_full", preset="smoke", store=store, overrides=changes))
    needed = run.reader.array_at("steps_to_loss")[1]
    assert (needed >= 50).all()
    assert run.reader.last_step + 1 == needed.sum()
    rule = run.reader.scalars("rule").values
    assert np.flatnonzero(np.diff(rule)).tolist() == (np.cumsum(needed)[:2] - 1).tolist()
    assert run.reader.scalars("smoothed_loss").values[-1] <= 0.2
    child = finished(run.fork(int(needed[0]) + 2))
    assert run.identical_to(child), str(run.identical_to(child))


def test_the_linear_student_along_the_teacher_hardly_changes(store):
    run = finished(launch("continual/rich_lazy", arm="aligned", preset="linear", store=store, overrides=OFF))
    assert run["ntk_alignment"].values[-1] > 0.99
    assert run["loss"].values[-1] <= 1e-4


def test_rows_of_pictures_train(store):
    changes = {
        "setting": "rows", "sigma": 1.0, "steps": 3, "hidden": 16, "rank": 4, "probe": 40, "stop_loss": 0.1, **OFF,
    }  # fmt: skip
    run = finished(launch("continual/rich_lazy", preset="smoke", store=store, overrides=changes))
    assert np.isfinite(run["ntk_alignment"].values).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rank": 21}, "rank must lie between 1 and the 20 hidden units; got 21"),
        ({"rank": 0}, "rank must lie between 1 and 1024"),
        ({"kernel_probe": 32}, "kernel_probe must not exceed probe; got 32 and 20"),
        ({"init": "aligned"}, "take setting='linear'"),
        ({"setting": "rows", "tasks": 2}, "setting='decision' alone; got 2 rules"),
        ({"angle": 100}, "angle must lie between 0 and 90 degrees"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("continual/rich_lazy", preset="smoke", overrides=changes)


def told(detector, alignment: float, *, rules: float = 1.0, loss: float = 0.4):
    detector_steps = [
        (0, {"smoothed_loss": 1.0, "delta_w_relative": 0.0, "ntk_alignment": 1.0, "tasks": rules}),
        (1, {"smoothed_loss": loss, "delta_w_relative": 0.05, "ntk_alignment": alignment, "tasks": rules}),
    ]
    return [f for step, values in detector_steps for f in detector.update(step, values)]


def test_regimes_are_information_and_a_warning_where_another_rule_is_to_come():
    assert [f.severity for f in told(RichRegime(), 0.3)] == ["info"]
    assert [f.severity for f in told(RichRegime(), 0.3, rules=2.0)] == ["warning"]
    assert [f.severity for f in told(LazyRegime(), 0.95)] == ["info"]
    assert not told(RichRegime(), 0.7)
    assert not told(LazyRegime(), 0.7)
    assert not told(LazyRegime(), 0.95, loss=0.6)  # nothing has been learned yet


def test_a_restored_detector_knows_the_first_loss():
    first, second = LazyRegime(), LazyRegime()
    list(first.update(0, {"smoothed_loss": 1.0, "delta_w_relative": 0.0, "tasks": 1.0}))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert list(second.update(1, {"smoothed_loss": 0.4, "ntk_alignment": 0.95}))


def test_on_recorded_tours_rank_one_ends_rich_and_full_rank_does_not():
    arrays = np.load(JOURNAL)
    ends = {}
    for arm in ("rank_1", "rank_full"):
        names = [n for n in arrays.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        series = {n.split(".", 1)[1]: (arrays[f"{n}.steps"], arrays[n]) for n in names}
        last = int(series["ntk_alignment"][0][-1])
        found = [f for f in scan(series, load(card("continual/rich_lazy"))) if f.id == "rich_regime"]
        ends[arm] = any(f.last >= last for f in found)
    assert ends == {"rank_1": True, "rank_full": False}
