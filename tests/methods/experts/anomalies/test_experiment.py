"""The loop of experts/anomalies: what is injected, what it moves, and what each remedy keeps as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import workbench
from workbench.cards import InvalidValue, card
from workbench.methods.experts.anomalies.module import Experiment
from workbench.methods.experts.anomalies.plan import WIDE
from workbench.runs import compose

FOUND = card("experts/anomalies")
SMALL = {
    **FOUND.preset("smoke").overrides, "layers": 1, "batch_size": 8, "steps": 60, "every": 20, "eval_every": 100,
    "warmup": 2, "guard.spike_z": 3.0,
}  # fmt: skip


def train(between=None, arm="clip", **values):
    """A short run in this process: the experiment, weights behind each step, and the run."""
    made = FOUND.config()
    for name, value in {**FOUND.arm(arm).overrides, **SMALL, **values}.items():
        *parents, last = name.split(".")
        at = made
        for parent in parents:
            at = getattr(at, parent)
        setattr(at, last, value)
    made.validate()
    weights = []
    with workbench.session(made, experiment="tests/anomalies", mlflow=False, detectors=()) as session:
        experiment = Experiment(made, session)
        for step in session.steps(made.steps):
            if between is not None:
                between(step, made, experiment)
            experiment.step()
            weights.append(torch.nn.utils.parameters_to_vector(experiment.network.parameters()).detach().clone())
    return experiment, weights, workbench.run(session.rundir.path.name)


def press(name, at):
    def between(step, made, experiment):
        if step == at:
            experiment.session._actions[name]()

    return between


def test_a_button_makes_one_batch_or_six_random_bytes_and_says_so():
    for name, number in (("inject_narrow", 1), ("inject_wide", WIDE)):
        _, _, run = train(press(name, 50), inject="none")
        steps = np.nonzero(run["injected"].values)[0].tolist()
        assert steps == list(range(50, 50 + number))
        assert run["ce"].values[steps].min() > run["ce"].values[49] + 1
        assert len(run["text_ce"].values) == 60 - number


def test_a_gradient_that_grows_shows_in_its_norm():
    run = train(inject="gradient")[2]
    at = int(np.nonzero(run["injected"].values)[0][0])
    norms = run["grad_norm"].values
    assert norms[at] > 20 * np.median(norms[at - 5 : at])


def test_clipping_is_a_knob_and_zero_is_no_limit():
    free, clipped = (train(inject="none", steps=4, grad_clip=at)[2]["param_drift"].values for at in (0.0, 1e-9))
    assert (clipped < 0.5 * free).all()  # far below Adam's epsilon of 1e-8 nothing is left of a gradient


def test_shrunken_moments_make_the_step_longer():
    shaken, calm = (train(inject=kind)[2] for kind in ("moments", "none"))
    at = int(np.nonzero(shaken["injected"].values)[0][0])
    assert shaken["param_drift"].values[at] > 2 * calm["param_drift"].values[at]
    np.testing.assert_array_equal(shaken["ce"].values[:at], calm["ce"].values[:at])


def test_skipping_moves_no_weight_and_the_schedule_goes_on():
    _, weights, run = train(press("inject_narrow", 50), arm="skip", inject="none")
    assert np.nonzero(run["guard_skipped"].values)[0].tolist() == [50]
    assert torch.equal(weights[49], weights[50])
    assert not torch.equal(weights[50], weights[51])
    rates = run["lr"].values
    assert rates[51] < rates[50] < rates[49]


def test_rolling_back_leaves_the_weights_of_two_steps_before():
    _, weights, _ = train(press("inject_narrow", 50), arm="retry", inject="none")
    assert torch.equal(weights[48], weights[50])


def test_a_batch_that_is_tried_again_is_the_one_that_was_skipped():
    _, _, run = train(press("inject_narrow", 50), arm="retry", inject="none", **{"guard.retry_delay": 5})
    drawn, steps = run["drawn_for"].values, np.arange(60)
    (again,) = np.nonzero(drawn != steps)[0]
    assert drawn[again] == 50
    assert 51 <= again <= 55
    assert run["injected"].values[again] == 1
    assert run["guard_lr_scale"].values[again] == pytest.approx(0.3)


def test_a_wide_spike_in_every_window_stops_the_run_in_words():
    def often(step, made, experiment):
        if step in (40, 50):
            experiment.session._actions["inject_wide"]()

    with pytest.raises(workbench.WorkbenchError, match="% of batches are being skipped"):
        train(often, arm="skip", inject="none")


def test_routing_warm_up_spreads_the_first_bytes_evenly_and_is_over_when_it_says():
    cold = train(inject="none", router_std=1.0)[2]
    warm_experiment, _, warm = train(inject="none", router_std=1.0, router_warmup=30)
    assert warm["worst_violation"].values[:5].mean() < 0.5 * cold["worst_violation"].values[:5].mean()
    assert {r.alpha for r in warm_experiment.network.routers} == {1.0}


def test_the_normed_head_changes_the_logits_and_nothing_initial():
    plain, normed = train(inject="none", steps=2)[0], train(inject="none", steps=2, norm_head=True)[0]
    x = torch.randn(4, 32)
    assert normed.network.shape.norm_head
    assert not torch.allclose(plain.network.head(x), normed.network.head(x))


@pytest.mark.parametrize(("name", "value", "said"), [
    ("guard.spike_z", 1, "guard.spike_z must lie between 3 and 20"),
    ("guard.handler", "ignore", "guard.handler must be one of"),
    ("router_warmup", 501, "router_warmup must lie between 0 and 500"),
    ("grad_clip", -1, "grad_clip must lie between 0 and 100"),
    ("inject", "storm", "inject must be one of all, none, noise"),
    ("every", 5, "every must lie between 20"),
    ("z_coef", -1, "z_coef must lie between 0 and 0.1"),
])  # fmt: skip
def test_bad_input_is_refused_with_name_value_and_range(name, value, said):
    with pytest.raises(InvalidValue, match=said):
        compose("experts/anomalies", arm="retry", preset="smoke", overrides={name: value})
