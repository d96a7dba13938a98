"""The loop of experts/scale_adapter: the hand-over, each control, the detectors, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import workbench
from workbench.cards import InvalidValue, card
from workbench.detectors import scan
from workbench.methods.experts.scale_adapter.detect import Coupled, Monopoly, ScaledStart
from workbench.methods.experts.scale_adapter.module import Experiment

FOUND = card("experts/scale_adapter")
SMALL = {**FOUND.preset("smoke").overrides, "batch_size": 8, "steps": 6, "dense_steps": 3, "layers": 2}


def config(**values):
    made = FOUND.config()
    for name, value in {**SMALL, **values}.items():
        setattr(made, name, value)
    made.validate()
    return made


def train(between=None, seed=0, **values):
    """A short run in this process: the experiment, and the run."""
    made = config(**values)
    with workbench.session(made, experiment="tests/scale", seed=seed, mlflow=False) as session:
        experiment = Experiment(made, session)
        for step in session.steps(made.steps):
            if between is not None:
                between(step, made, experiment)
            experiment.step()
    return experiment, workbench.run(session.rundir.path.name)


def weights(experiment, ending):
    return {n: p.detach().clone() for n, p in experiment.networks["experts"].named_parameters() if n.endswith(ending)}


def same(one, other):
    return all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("variant", ["vanilla", "csmoe", "adamoe"])
def test_the_copies_begin_where_the_dense_network_stood_if_the_scale_is_kept(variant):
    kept = train(variant=variant, router_std=0.0, steps=4)[1]["upcycle_jump"]
    assert kept.steps.tolist() == [3]
    assert abs(kept.values[0]) < 1e-5
    shrunk = train(variant=variant, router_std=0.0, steps=4, renormalise_init=False)[1]["upcycle_jump"].values[0]
    assert abs(shrunk) > 1e-4


def test_a_dense_run_goes_on_without_experts():
    experiment, run = train(variant="dense")
    assert list(experiment.networks) == ["dense"]
    assert "coupling" not in run.reader.names()
    together = train()[1]
    assert np.array_equal(run["ce"].values[:3], together["ce"].values[:3])


@pytest.mark.parametrize(("knob", "moved", "kept"), [
    ("router_lr_mult", "router.weight", "router.adapter"), ("adapter_lr_mult", "router.adapter", "router.weight"),
])  # fmt: skip
def test_the_rates_of_what_selects_and_what_weighs_move_apart_and_live(knob, moved, kept):
    """One step of the mixture: the first one moves each weight by its rate alone, whatever the others do."""

    def late(step, made, experiment):
        if step == 3:
            setattr(made, knob, 10.0)

    plain, other = train(steps=4)[0], train(late, steps=4)[0]
    assert same(weights(plain, kept), weights(other, kept))
    assert not same(weights(plain, moved), weights(other, moved))


def test_alpha_weighs_the_balancing_loss_of_the_mixture_alone():
    def harder(step, made, experiment):
        made.alpha = 0.5

    plain, pressed = train()[1], train(harder)[1]
    assert np.array_equal(plain["loss"].values[:3], pressed["loss"].values[:3])
    added = pressed["loss"].values[3] - pressed["ce"].values[3]
    assert added == pytest.approx(0.5 * pressed["lbl"].values[0], abs=1e-4)


def test_interference_is_shown_at_looks_under_a_balancing_loss():
    assert train()[1]["interference"].steps.tolist() == [3]
    assert "interference" not in train(alpha=0.0)[1].reader.names()


def test_noise_and_one_expert_a_byte_run():
    experiment, run = train(noise_std=0.05, top_k=1, steps=4)
    up = experiment.networks["experts"].blocks[0].moe.experts.up
    assert (up[0] - up[1]).abs().max() > 0.02
    assert run["median_gate_share"].values[0] == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"top_k": 3, "experts": 2}, "top_k must not exceed experts; got 3 of 2"),
        ({"dense_steps": 6}, "dense_steps must be less than steps, or nothing is copied; got 6 of 6"),
    ],
)
def test_impossible_settings_are_refused(values, words):
    with pytest.raises(InvalidValue, match=words):
        config(**values)


def columns(**values):
    return {n: (np.arange(len(v)), np.asarray(v, float)) for n, v in values.items()}


def test_the_detectors_tell_a_coupled_router_a_monopoly_and_a_start_at_another_scale():
    (found,) = scan(columns(mean_coupling=np.full(120, 0.98), alpha=[0.1]), [Coupled()])
    assert (found.first, found.last) == (0, 119)
    assert not list(scan(columns(mean_coupling=np.full(120, 0.9)), [Coupled()]))
    assert not list(scan(columns(mean_coupling=np.full(120, 0.98), alpha=np.zeros(120)), [Coupled()]))
    (found,) = scan(columns(median_gate_share=np.full(120, 0.99), top_k=[2]), [Monopoly()])
    assert "99.0%" in found.sentence
    assert not list(scan(columns(median_gate_share=np.full(120, 0.99), top_k=np.ones(120)), [Monopoly()]))
    (found,) = scan(columns(upcycle_jump=[0.3]), [ScaledStart()])
    assert found.remedy == "Set renormalise_init=true."
    assert not list(scan(columns(upcycle_jump=[0.005]), [ScaledStart()]))
