"""The experiment: its stages, its controls while it runs, forks in every stage; bad settings; what detectors say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import card
from workbench.cards.errors import InvalidValue
from workbench.detectors import load, scan
from workbench.journal import Inbox
from workbench.methods.imbalance.bonsai.detect import OodDecay, PenaltyStall, Shortcut
from workbench.runs import Store, compose
from workbench.steering import worker

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "imbalance__bonsai.npz"
ERM, DISCOVERY, SYNTHESIS, OOD = 12, 50, 50, 20  # steps of the smoke preset


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train the smoke preset in this process, under a real session."""
    store = Store(tmp_path_factory.mktemp("bonsai") / "store")

    def run(arm="rfc", at=None, state="finished", **values):
        tree = compose("imbalance/bonsai", arm=arm, preset="smoke", overrides={"tracking": "off", **values})
        made = store.create(tree)
        for step, change in (at or {}).items():
            Inbox(made.dir).issue("set", {"values": change}, at_step=step)
        worker.main(str(made.dir.path))
        found = store.run(made.id)
        assert found.state == state, found.dir.log.read_text()
        return found

    return run


def stages(run) -> list[int]:
    """How many steps each stage took, by its number."""
    return np.bincount(run["stage"].values.astype(int)).tolist()


def strips(run) -> dict[int, np.ndarray]:
    """First-layer filters by step."""
    shown = run.reader.arrays("filters")
    return dict(zip(shown.steps.tolist(), shown.values, strict=True))


# -- stages -----------------------------------------------------------------------------------------------------------


def test_rich_features_pass_all_stages_and_show_their_rounds(trained):
    run = trained()
    assert stages(run) == [ERM, DISCOVERY, 0, 0, SYNTHESIS, OOD]
    assert run.reader.array_at("overlap")[1].shape == (2, 2)
    assert run.reader.array_at("round_accuracy")[1].shape == (2, 3)
    assert run["agreement"].steps.tolist() == [ERM + DISCOVERY - 1]
    looked = run["worst_test_acc"].steps
    for border in np.cumsum([ERM, DISCOVERY, SYNTHESIS, OOD]):
        assert border - 1 in looked  # what a stage ends with
    np.testing.assert_allclose(run.reader.arrays("test_acc").values.min(1), run["worst_test_acc"].values)
    scores = run.reader.arrays("test_acc").values
    np.testing.assert_allclose(scores[:, 1] - scores[:, 0], run["colour_reliance"].values)


@pytest.mark.parametrize(
    ("arm", "values", "expected"),
    [
        ("random", {}, [0, 0, 0, 0, 0, OOD]),
        ("erm", {}, [ERM, 0, 0, 0, 0, OOD]),
        ("erm", {"erm_steps": 5}, [5, 0, 0, 0, 0, OOD]),
        ("rfc", {"rounds": 3, "discovery_steps": 60}, [ERM, 60, 60, 0, 60, OOD]),
        ("no_synthesis", {}, [ERM, DISCOVERY, 0, 0, 0, OOD]),
        ("rfc", {"rounds": 1, "resample": False}, [ERM, 0, 0, 0, SYNTHESIS, OOD]),
    ],
)
def test_the_start_and_the_rounds_say_which_stages_there_are(trained, arm, values, expected):
    assert stages(trained(arm, **values)) == expected


def test_rounds_moved_while_training_count_from_the_next_stage_on_and_the_last_gets_what_is_left(trained):
    run = trained(at={20: {"rounds": 3, "discovery_steps": 55}}, steps=70)
    assert stages(run) == [ERM, DISCOVERY, 55, 0, 55, 70 + DISCOVERY + SYNTHESIS - 3 * 55 + 5]


def test_every_round_starts_afresh_and_the_ood_method_at_the_synthesis(trained):
    run = trained(at={0: {"probes.filters": 1}})
    seen = strips(run)
    first, border = seen[ERM], ERM + DISCOVERY + SYNTHESIS
    assert not np.array_equal(first, seen[0])
    np.testing.assert_array_equal(seen[border + 1], seen[border])


# -- controls ---------------------------------------------------------------------------------------------------------


def test_freeze_holds_the_featuriser_from_the_step_where_it_is_moved(trained):
    run = trained("random", at={0: {"probes.filters": 1}, 8: {"freeze": True}})
    seen = strips(run)
    assert not np.array_equal(seen[7], seen[8])
    np.testing.assert_array_equal(seen[8], seen[19])
    assert run["loss"].values[10] != run["loss"].values[19]  # the head goes on


def test_frozen_and_thawed_again_all_weights_go_on(trained):
    border = ERM + DISCOVERY + SYNTHESIS
    seen = strips(trained(at={0: {"probes.filters": 1}, border + 5: {"freeze": False}}))
    np.testing.assert_array_equal(seen[border + 1], seen[border + 5])
    assert not np.array_equal(seen[border + 5], seen[border + 6])


def test_penalty_weight_and_l2_count_from_the_next_step_on(trained):
    run = trained("random", at={6: {"penalty_weight": 10.0}, 12: {"l2": 0.0}})
    weight, loss, risk, penalty = (run[n].values for n in ("penalty_weight", "loss", "risk", "penalty"))
    assert weight[:6].tolist() == [1e4] * 6
    assert weight[6:].tolist() == [10.0] * 14
    np.testing.assert_allclose(loss[12:], (risk[12:] + 10 * penalty[12:]) / 10, rtol=1e-5)
    assert (loss[6:12] > (risk[6:12] + 10 * penalty[6:12]) / 10 + 1e-3).all()


def test_the_method_moved_before_its_stage_is_the_one_that_trains(trained):
    run = trained("erm", at={3: {"ood_method": "group_dro"}})
    assert "penalty" not in run.reader.names()
    assert "penalty" in trained("erm", at={3: {"ood_method": "iga"}}).reader.names()


def test_without_resampling_synthesis_sees_other_pictures(trained):
    halves, whole = trained(), trained("no_resampling")
    synthesis = slice(ERM + DISCOVERY, ERM + DISCOVERY + 1)
    assert halves["loss"].values[synthesis] != whole["loss"].values[synthesis]
    assert halves["loss"].values[: ERM + DISCOVERY].tolist() == whole["loss"].values[: ERM + DISCOVERY].tolist()


def test_runs_of_one_seed_see_the_same_pictures_whatever_their_start(trained):
    assert trained("erm")["majority"].values[0] == trained("random")["majority"].values[0]
    assert trained("erm")["train_acc"].values[0] == trained("random")["train_acc"].values[0]


@pytest.mark.parametrize("step", [ERM + 20, ERM + DISCOVERY + 1, ERM + DISCOVERY + SYNTHESIS + 10])
def test_a_fork_in_any_stage_is_exact(trained, step):
    run = trained(**{"run.checkpoint_every": 7})
    child = run.fork(step)
    assert child.wait(240) == "finished", child.dir.log.read_text()
    assert run.identical_to(child), str(run.identical_to(child))


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"e1": 0.6}, "e1 must lie between 0 and 0.5"),
        ({"label_noise": 0.5}, "label_noise must lie between 0 and 0.45"),
        ({"penalty_weight": 0.0}, "penalty_weight must lie between 1 and 100000"),
        ({"penalty_weight": float("nan")}, "penalty_weight must be a finite number"),
        ({"rounds": 5}, "rounds must lie between 1 and 4"),
        ({"erm_steps": 0}, "start='rfc' needs erm_steps between 1 and 500; got 0"),
        ({"ood_method": "fishr"}, "ood_method must be one of erm, group_dro, iga, irm, sd, vrex"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("imbalance/bonsai", preset="smoke", overrides=changes)


@pytest.mark.parametrize(
    ("changes", "words"), [({"e1": 0.5}, "colour says nothing"), ({"e1": 0.2}, "environments do not differ")]
)
def test_environments_that_cannot_work_are_warned_of(changes, words):
    with pytest.warns(UserWarning, match=words):
        compose("imbalance/bonsai", preset="smoke", overrides=changes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"label_noise": 0.0, "e1": 0.0, "e2": 0.01, "erm_steps": 200, "images": 30}, "nothing is left to discover"),
        ({"rounds": 1}, "disagree on none of the 400 training pictures"),
        ({"pictures": "mnist_5k", "images": 4001}, "images must be at most 4000"),
        ({"pictures": "mnist_5k", "images": 4000, "evaluation": 1001}, "evaluation must be at most 1000"),
    ],
)
def test_what_only_a_run_can_find_stops_it_with_a_sentence(trained, values, words):
    assert words in trained(state="failed", **values).message


# -- detectors --------------------------------------------------------------------------------------------------------


def told(detector, looks):
    """Findings of a detector on looks (step, values), the last state carried over to a second one half-way."""
    found = []
    for k, (step, values) in enumerate(looks):
        if k == len(looks) // 2:
            saved, detector = json.loads(json.dumps(detector.state_dict())), type(detector)()
            detector.load_state_dict(saved)
        found += list(detector.update(step, values))
    return found


@pytest.mark.parametrize(("reliance", "stage", "fires"), [(80, 5, True), (80, 4, False), (20, 5, False)])
def test_a_shortcut_lasts_three_looks_outside_of_synthesis(reliance, stage, fires):
    looks = [(50 * k, {"colour_reliance": reliance, "stage": stage}) for k in range(4)]
    assert bool(told(Shortcut(), looks)) == fires
    assert not told(Shortcut(), looks[:2])


def test_a_shortcut_that_is_being_left_is_not_told():
    looks = [(50 * k, {"colour_reliance": 80 - 5 * k, "stage": 5}) for k in range(8)]
    assert not told(Shortcut(), looks)


@pytest.mark.parametrize(
    ("worst", "losses", "stage", "fires"),
    [
        ((60, 50, 40), (3, 2, 1), 5, True),
        ((60, 50, 40), (1, 2, 3), 5, False),  # the loss does not fall
        ((60, 50, 40), (3, 2, 1), 1, False),  # discovery
        ((60, 57, 56), (3, 2, 1), 5, False),
        ((52, 40, 30), (3, 2, 1), 5, False),  # it never was better than a coin
    ],
)
def test_a_decay_is_a_fall_from_something_good_while_the_loss_improves(worst, losses, stage, fires):
    rows = zip(worst, losses, strict=True)
    looks = [
        (50 * k, {"worst_test_acc": w, "best_worst_acc": worst[0], "loss": loss, "stage": stage})
        for k, (w, loss) in enumerate(rows)
    ]
    assert bool(told(OodDecay(), looks)) == fires


@pytest.mark.parametrize(("fall", "train_acc", "fires"), [(1.0, 51.0, True), (0.9, 51.0, False), (1.0, 60.0, False)])
def test_a_penalty_stalls_if_it_stands_still_at_a_constant_answer(fall, train_acc, fires):
    looks = []
    for k in range(8):
        looks.append((50 * k, {"penalty": fall**k, "train_acc": train_acc, "majority": 50.5, "worst_test_acc": 50.0}))
        looks.append((50 * k + 1, {"penalty": fall**k, "train_acc": train_acc}))  # not looked at
    assert bool(told(PenaltyStall(), looks)) == fires


def test_on_recorded_tours_decay_is_told_without_rich_features_and_not_with_them():
    arrays = np.load(JOURNAL)
    found = {}
    for arm in ("random", "erm", "rfc"):
        names = [n for n in arrays.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        series = {n.split(".", 1)[1]: (arrays[f"{n}.steps"], arrays[n]) for n in names}
        found[arm] = "ood_decay" in {f.id for f in scan(series, load(card("imbalance/bonsai")))}
    assert found == {"random": True, "erm": True, "rfc": False}
