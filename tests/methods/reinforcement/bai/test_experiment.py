"""The loop of reinforcement/bai: where it starts, what its knobs do, the map of merges, and what is broken."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import workbench
from workbench.cards import InvalidValue, card
from workbench.methods.reinforcement._shared import stages
from workbench.methods.reinforcement._shared.loop import Verifier
from workbench.methods.reinforcement.bai.claims import growth
from workbench.methods.reinforcement.bai.module import Course, Experiment
from workbench.runs import compose

SMALL = {"steps": 8, "batch_size": 16, "evaluation": 16, "group_size": 4}


def config(**values):
    made = card("reinforcement/bai").config()
    for name, value in {**SMALL, **values}.items():
        setattr(made, name, value)
    made.validate()
    return made


def train(between=None, seed=0, **values):
    """A short run in this process: the experiment, and the run."""
    made = config(**values)
    with workbench.session(made, experiment="tests/bai", seed=seed, mlflow=False) as session:
        experiment = Experiment(made, session)
        for step in session.steps(made.steps):
            if between is not None:
                between(step, made, experiment)
            experiment.step(step)
    return experiment, workbench.run(session.rundir.path.name)


def same(one, other):
    return all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("a", "b", "stage"), [(1.0, 1.0, "distilled"), (0.0, 1.0, "instruct"), (0.3, 0.0, "base")])
def test_a_merge_at_its_corners_is_one_of_the_three_models(a, b, stage):
    experiment, _ = train(a=a, b=b, steps=1)
    assert same(experiment.loop.reference.state_dict(), stages.policy(stage, 1))


def test_regime_l_shows_a_critic_and_regime_h_groups():
    _, run = train(regime="L")
    assert {"value_mse", "return_var", "value_by_position"} <= set(run.reader.names())
    assert "group_zero_std" not in run.reader.names()
    _, run = train(regime="H")
    assert "group_zero_std" in run.reader.names()
    assert "value_mse" not in run.reader.names()
    assert not run.reader.events(["warning", "error"])


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo"])
def test_every_loss_of_the_family_trains(loss):
    experiment, run = train(regime="H", loss=loss, init="instruct", kl_loss=0.05, steps=3)
    assert np.isfinite(run["policy_loss"].values).all()
    assert not same(experiment.loop.policy.state_dict(), stages.policy("instruct", 1))
    assert same(experiment.loop.reference.state_dict(), stages.policy("instruct", 1))


def test_the_critics_warm_up_leaves_the_policy_where_it_is():
    experiment, run = train(init="instruct", critic_warmup=7)
    assert run["kl_sequence"].values[:7].max() == 0
    assert list(run["policy_loss"].steps) == [7]
    assert experiment.loop.critic is not None


def test_knobs_act_on_the_next_batch():
    def cut(step, made, experiment):
        if step == 4:
            made.max_new = 6

    _, run = train(between=cut, init="distilled")
    length = dict(zip(run["length_p90"].steps.tolist(), run["length_p90"].values.tolist(), strict=True))
    assert length[3] > 6
    assert max(length[s] for s in range(4, 8)) <= 6
    assert run["truncated"].values[4:].min() > 0.3


def test_base_model_zero_is_the_runs_seed():
    experiment, _ = train(seed=2, base_seed=0, init="base", critic_init="zero", steps=1)
    assert same(experiment.loop.reference.state_dict(), stages.policy("base", 2))


def test_a_longer_response_costs_what_the_penalty_says():
    free, dear = (train(init="distilled", steps=2, length_penalty=p)[1] for p in (0.0, 0.05))
    assert free["reward"].values[0] == dear["reward"].values[0]  # what is shown is the verifier's
    assert free["return_var"].values[0] != dear["return_var"].values[0]


def test_the_course_counts_once_its_window_is_full():
    course = Course()
    for reward in (1.0, 0.0, 0.0, 0.0):
        course.take(reward=reward)
    assert course.lowest["reward"] == float("inf")
    course.take(reward=0.0)
    assert course.lowest["reward"] == pytest.approx(0.2)
    again = Course()
    again.load_state_dict(course.state_dict())
    assert again.state_dict() == course.state_dict()


def test_growth_is_the_end_minus_the_start():
    run = {"eval_length": SimpleNamespace(values=[9.0, 12.0]), "start_length": SimpleNamespace(values=[10.0, 10.0])}
    assert growth(run) == 2


def on_the_first(act):
    """For `train`: done before the first step."""
    return lambda step, made, experiment: act(experiment) if step == 0 else None


def test_a_verifier_that_raises_costs_its_rewards_is_said_once_and_the_run_goes_on():
    def verify(prompts, responses, mask=None):
        raise ZeroDivisionError("no gold answer")

    def break_it(experiment):
        experiment.loop.verify = Verifier(SimpleNamespace(verify=verify))

    with pytest.warns(UserWarning, match="no gold answer.*such a response gets reward 0") as said:
        _, run = train(between=on_the_first(break_it), steps=3)
    assert len(said) == 1
    assert run["reward"].values.tolist() == [0.0, 0.0, 0.0]
    assert run.state == "finished"


@pytest.mark.parametrize("regime", ["L", "H"])
def test_rewards_that_are_all_zero_leave_finite_numbers_and_groups_that_teach_nothing(regime):
    def fail_all(experiment):
        experiment.loop.verify = lambda prompts, responses: np.zeros(len(responses))

    experiment, run = train(between=on_the_first(fail_all), regime=regime, steps=3)
    assert all(np.isfinite(run[name].values).all() for name, kind in run.reader.names().items() if kind == "scalar")
    if regime == "H":
        assert run["group_zero_std"].values.tolist() == [1.0, 1.0, 1.0]
        assert same(experiment.loop.policy.state_dict(), experiment.loop.reference.state_dict())


def test_weights_that_are_not_numbers_end_the_run_with_a_sentence():
    def break_it(experiment):
        with torch.no_grad():
            experiment.loop.policy.head.bias[3] = float("nan")

    with pytest.raises(InvalidValue, match="logits are not finite at token 1 of response 0: its weights are broken"):
        train(between=on_the_first(break_it), steps=2)


def test_the_map_of_merges_ends_at_the_three_models_and_leaves_the_run_as_it_was():
    def ask(step, made, experiment):
        if step == 1:
            workbench.run(experiment.session.rundir.path.name).probe("merge_map")

    looked, run = train(between=ask, steps=4)
    step, found = run.reader.array_at("merge_map")
    assert step > 1
    assert found.shape == (15, 4)
    np.testing.assert_array_equal(found[:, :3].sum(1), 1)
    corners = {found[row, :3].tolist().index(1): found[row, 3] for row in np.flatnonzero(found[:, :3].max(1) == 1)}
    for corner, stage in enumerate(("instruct", "distilled", "base")):
        _, alone = train(init=stage, critic_init="zero", steps=1)
        assert corners[corner] == alone["start_reward"].values[0]
        assert alone.reader.array_at("merge_weights")[1].tolist() == [float(corner == i) for i in range(3)]
    assert len(set(found[:, 3])) > 3
    np.testing.assert_allclose(run.reader.array_at("merge_weights")[1], [0.45, 0.45, 0.1])
    unlooked, _ = train(steps=4)
    assert same(looked.loop.policy.state_dict(), unlooked.loop.policy.state_dict())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"a": 1.5}, "a must lie between 0 and 1"),
        ({"b": -0.1}, "b must lie between 0 and 1"),
        ({"group_size": 1}, "group_size must lie between 2 and 64"),
    ],
)
def test_settings_out_of_range_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("reinforcement/bai", preset="smoke", overrides=changes)


@pytest.mark.parametrize("name", ["group_size", "minibatches"])
def test_what_does_not_divide_the_batch_is_refused(name):
    with pytest.raises(InvalidValue, match=f"{name} must divide batch_size; got 3 and 16 responses"):
        config(**{name: 3})
