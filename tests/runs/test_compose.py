"""From a card and overrides to a configuration; every mistake is one sentence that says what to do."""

from __future__ import annotations

import pytest

from workbench.cards import InvalidValue, UnknownName, card
from workbench.runs import compose, parse
from workbench.runs.compose import restored


def test_preset_then_arm_then_the_callers_values_win():
    tree = compose("certified/ibp", arm="vanilla", preset="smoke", seed=3, overrides={"epsilon": 0.2, "lr": 1e-3})
    assert (tree["experiment"], tree["arm"], tree["preset"], tree["seed"]) == ("certified/ibp", "vanilla", "smoke", 3)
    assert tree["steps"] == 8  # the preset's
    assert tree["batch_norm"] == "none"  # the arm's
    assert (tree["epsilon"], tree["optimizer"]["lr"]) == (0.2, 1e-3)
    assert tree["run"]["threads"] == 1


def test_the_configuration_comes_back_from_its_file():
    tree = compose("certified/ibp", arm="fast", preset="smoke", overrides={"epsilon": 0.3})
    config = restored(card("certified/ibp"), tree)
    assert (config.epsilon, config.init, config.steps) == (0.3, "ibp", 8)


def test_the_groups_of_the_configuration_can_be_chosen():
    assert compose("certified/ibp", overrides=parse(["tracking=off"]))["tracking"]["mlflow"] is False
    assert compose("certified/ibp", overrides=parse(["run.threads=2"]))["run"]["threads"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"experiment": "certified/ipb"}, "no experiment 'certified/ipb'. Did you mean 'certified/ibp'"),
        ({"arm": "fats"}, "no arm 'fats' in certified/ibp. Did you mean 'fast'"),
        ({"preset": "tuor"}, "no preset 'tuor' in certified/ibp. Did you mean 'tour'"),
        ({"overrides": {"epsilom": 0.1}}, "no control 'epsilom' in certified/ibp. Did you mean 'epsilon'"),
        ({"overrides": {"run.thread": 1}}, "no field 'run.thread'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(options, words):
    options = {"experiment": "certified/ibp", **options}
    with pytest.raises(UnknownName, match=words):
        compose(options.pop("experiment"), **options)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["epsilon=8"], "epsilon must lie between 0 and"),
        (["epsilon=wide"], "epsilon must be a number"),
        (["epsilon=nan"], "epsilon must be a finite number"),
        (["batch_norm=half"], "batch_norm must be one of"),
        (["seed=-1"], "seed must be a whole number of at least 0"),
        (["seed=x"], "seed must be a whole number of at least 0"),
        (["epsilon"], "'epsilon' is not an override"),
        (["epsilon=0.1,0.2"], "names several values"),
        (["+fresh=1"], "adds or deletes"),
        (["milestone_1=9", "milestone_2=3"], "milestone_2 must come after"),
    ],
)
def test_a_wrong_value_is_refused_in_words(overrides, words):
    with pytest.raises(InvalidValue, match=words):
        compose("certified/ibp", overrides=parse(overrides))
