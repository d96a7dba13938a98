"""The whole experiment: exact in both stages, GRPO held to what SFT left, rewards of the recipe, what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared import rewards
from workbench.methods.reinforcement._shared.loop import Batch
from workbench.methods.reinforcement._shared.sampling import as_rollout
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement._shared.vocabulary import padded, parse
from workbench.methods.reinforcement.two_stage.knobs import TwoStage
from workbench.methods.reinforcement.two_stage.module import Course, Experiment
from workbench.runs import Store, compose, launch

OFF = {"tracking": "off"}
EXPERIMENT = "reinforcement/two_stage"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Both stages, 8 steps of SFT and 6 of GRPO, and SFT alone."""
    store = Store(tmp_path_factory.mktemp("two_stage") / "store")
    overrides = {"run.checkpoint_every": 3, **OFF}
    made = [
        launch(EXPERIMENT, arm=arm, preset="smoke", store=store, overrides=overrides) for arm in ("two_stage", "sft_10")
    ]
    for run in made:
        assert run.wait(240) == "finished", run.message
    return made


@pytest.fixture
def run(runs):
    """The run of both stages."""
    return runs[0]


def test_the_border_is_marked_and_the_stages_show_their_own(run):
    stages = [(e.step, e.payload["index"]) for e in run.reader.events(["stage"])]
    assert stages == [(0, 0), (8, 1)]
    assert run.reader.scalars("sft_loss").steps.tolist() == list(range(8))
    assert run.reader.scalars("reward_sum").steps.tolist() == list(range(8, 14))
    assert run.reader.scalars("eval_accuracy").steps.tolist() == [0, 4, 8, 12, 13]
    assert run.reader.scalars("length_left").values[0] == 1


def test_the_second_stage_is_held_to_the_policy_that_sft_left(run):
    kl = run.reader.scalars("kl_sequence")
    assert kl.steps[0] == 8
    assert abs(kl.values[0]) < 1e-5
    assert kl.values[-1] > 0


def test_forks_go_on_to_the_same_bits_from_inside_sft_and_from_its_end(runs):
    both, sft = runs
    assert sft.steps == 8
    inside, behind = both.fork(5), sft.fork(8, reinforce=True, steps=14)
    for child in (inside, behind):
        assert child.wait(240) == "finished", child.message
    assert both.identical_to(inside), str(both.identical_to(inside))
    rewards = [r.reader.scalars("reward_sum").values for r in (both, behind)]
    np.testing.assert_array_equal(*rewards)


def test_the_rewards_of_a_group_are_the_recipes():
    said = [
        "3 3 4 7 A 7 <eos>",  # right and short
        "3 3 4 7 V 3 3 4 7 A 7 <eos>",  # right and long
        "3 3 4 8 A 8 <eos>",  # wrong
        "3 3 4 7 A <eos>",  # no answer
    ]
    prompts = task("chain").sample(np.random.default_rng(0), 1, reasoning=1.0)
    asked = Prompts(prompts.tokens, ((7,),), prompts.kinds, prompts.sizes).repeat(4)
    responses = padded([parse(s) for s in said], 40)
    taken = as_rollout(torch.from_numpy(asked.tokens), torch.from_numpy(responses))
    right = task("chain").verify(asked, responses)
    none = torch.zeros(taken.responses.shape)
    batch = Batch(asked, taken, right, none, none, none, none)

    def weighed(**weights):
        config = TwoStage(group_size=4, batch_size=4, minibatches=2, **weights)
        return Experiment._rewards(SimpleNamespace(config=config, task=task("chain")), batch)

    lengths, correct = [7, 12, 7, 6], [True, True, False, False]
    wanted = np.array([1.0, 1.0, 1.0, 0.0])
    wanted = wanted + rewards.cosine_reward(lengths, correct, 60) + rewards.length_reward(lengths, correct, 4)
    np.testing.assert_allclose(weighed(), wanted, rtol=1e-12)
    only_right = weighed(w_format=0.0, w_cosine=0.0, w_length=0.0, w_accuracy=2.0)
    np.testing.assert_array_equal(only_right, [2.0, 2.0, 0.0, 0.0])
    np.testing.assert_array_equal(weighed(w_cosine=0.0, w_length=0.0), [1.0, 1.0, 1.0, 0.0])


def test_the_slope_is_of_the_last_five_epochs_without_the_start():
    course = Course()
    assert course.slope(12) is None
    course.accuracies = {0: 0.1, 12: 0.5, 24: 0.52}
    assert course.slope(12) == pytest.approx(2.0)
    course.accuracies = {12 * e: 0.5 + 0.01 * e for e in range(11)}
    assert course.slope(12) == pytest.approx(1.0)
    again = Course()
    again.load_state_dict(course.state_dict())
    assert again.slope(12) == course.slope(12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"group_size": 1}, "group_size must lie between 2 and 64"),
        ({"max_len": 0}, "max_len must lie between 10 and 80"),
        ({"group_size": 3}, "group_size must divide batch_size; got 3 and 16"),
        ({"sft_batch": 128}, "sft_batch must not exceed traces"),
        ({"epochs": 0, "reinforce": False}, "nothing is trained"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose(EXPERIMENT, preset="smoke", overrides=changes)


def test_a_run_that_ends_before_its_second_stage_says_so():
    with pytest.warns(UserWarning, match="the second stage is not reached"):
        compose(EXPERIMENT, overrides={"steps": 100})
