"""The loop of experts/alf_lb: what each control does, the shock, the router by itself, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import workbench
from workbench.cards import InvalidValue, card
from workbench.methods.experts.alf_lb import dual
from workbench.methods.experts.alf_lb.module import SHOCKED, Experiment
from workbench.methods.experts.alf_lb.panel import TOKENS, Panel

FOUND = card("experts/alf_lb")
SMALL = {**FOUND.preset("smoke").overrides, "batch_size": 8, "steps": 4}


def config(**values):
    made = FOUND.config()
    for name, value in {**SMALL, **values}.items():
        setattr(made, name, value)
    made.validate()
    return made


def train(between=None, kind=Experiment, seed=0, **values):
    """A short run in this process: the experiment, and the run."""
    made = config(**values)
    with workbench.session(made, experiment="tests/alf", seed=seed, mlflow=False) as session:
        experiment = kind(made, session)
        for step in session.steps(made.steps):
            if between is not None:
                between(step, made, experiment)
            experiment.step()
    return experiment, workbench.run(session.rundir.path.name)


def test_the_bias_moves_by_u_against_the_load_and_only_there():
    _, run = train(u=0.01)
    load, bias = run["load"].values, run["bias"].values
    moves = np.diff(np.concatenate([np.zeros_like(bias[:1]), bias]), axis=0)
    np.testing.assert_allclose(moves, -0.01 * np.sign(load * load.shape[-1] - 1), atol=1e-7)
    for balancing in ("global", "micro", "none"):
        assert not train(balancing=balancing)[1]["bias"].values.any()


def test_rules_in_proportion_move_by_what_is_missing():
    _, run = train(rule="inv_n", u=0.5)
    load, bias = run["load"].values, run["bias"].values
    missing = (1 / load.shape[-1] - load) * 2  # top_k = 2: slots as shares of the bytes
    expected = np.cumsum(0.5 * missing / np.arange(1, 5)[:, None, None], axis=0)
    np.testing.assert_allclose(bias, expected, atol=1e-5)


def test_a_frozen_bias_stays_where_it_is():
    def freeze(step, made, experiment):
        made.freeze_bias = step >= 2

    bias = train(freeze, u=0.01)[1]["bias"].values
    assert np.abs(bias[1] - bias[0]).max() > 0.005
    assert np.array_equal(bias[1], bias[3])


def test_losses_pull_at_the_router_and_the_bias_does_not():
    assert "interference" not in train()[1].reader.names()
    _, run = train(balancing="global", eval_every=2, alpha=0.1)
    found = run["interference"]
    assert found.steps.tolist() == [0, 2]
    assert np.abs(found.values).max() <= 1 + 1e-6
    plain = train(balancing="none")[1]["loss"].values
    assert (run["loss"].values > plain + 0.05).all()


def test_interference_is_shown_without_changing_what_is_trained():
    often, seldom = (train(balancing="micro", eval_every=e)[0].network.state_dict() for e in (1, 100))
    assert all(torch.equal(often[n], seldom[n]) for n in often)


def test_a_shock_triples_a_score_for_fifty_steps_and_then_ends():
    seen = []

    def shock(step, made, experiment):
        if step == 2:
            experiment.shock()
        seen.append(int(experiment.network.routers[0].left))

    experiment, run = train(shock, u=1e-5)
    assert seen == [0, 0, SHOCKED, SHOCKED - 1]
    load = run["load"].values[:, :, 0]
    assert (load[2:] > 0.45).all()  # half of the slots are every byte's first or second
    assert load[:2].max() < 0.45
    for router in experiment.network.routers:
        router.left.fill_(0)
    x = torch.randn(6, 32)
    assert torch.equal(experiment.network.routers[0](x).scores, experiment.network.routers[0](x).probabilities
                       + experiment.network.routers[0].bias)  # fmt: skip


def test_flips_and_flow_agree_and_the_first_step_compares_with_the_start():
    _, run = train(u=0.01)
    flips, flow = run["flips"].values, run["flow"].values
    bytes_of_text = 4 * 16
    least, moved = flips * bytes_of_text, flow.sum((2, 3))
    assert ((moved >= least - 1e-4) & (moved <= 2 * least + 1e-4)).all()  # one or both of a byte's experts
    assert flips.any()


def test_sigmoid_scores_rank_and_weigh():
    experiment, _ = train(score="sigmoid", steps=1)
    routing = experiment.network.routers[0](torch.randn(6, 32))
    torch.testing.assert_close(routing.scores, routing.logits.sigmoid() + experiment.network.routers[0].bias)


def test_the_router_by_itself_balances_under_all_rules():
    panel, run = train(kind=Panel, mode="router", steps=120)
    excess = run["rule_excess"].values
    assert excess.shape == (120, 4)
    assert (excess[0] > 50).all()
    by = dict(zip(dual.RULES, excess[-1], strict=True))
    assert by["inv_n"] <= 7
    assert by["inv_sqrt_n"] <= 7
    assert max(by.values()) < 50
    assert run["rule_load"].values.sum(-1) == pytest.approx(2)
    trace = dual.simulate(lambda n: panel.scores, 120, 2, rule="sign", u=0.01)
    np.testing.assert_allclose(run["rule_bias"].values[:, 0], trace.bias[:-1].numpy(), atol=1e-12)


def test_the_router_by_itself_answers_pace_freezing_and_the_shock():
    def move(step, made, panel):
        made.pace = 10.0 if step >= 1 else 1.0
        made.freeze_bias = step >= 3
        if step == 4:
            panel.shock()

    panel, run = train(move, kind=Panel, mode="router", steps=6)
    bias = run["rule_bias"].values[:, 0]
    assert np.abs(np.diff(bias, axis=0)).max(1) == pytest.approx([0.01, 0.1, 0.1, 0, 0])
    liked = run["rule_load"].values[:, :, 0]
    assert (liked[4] > liked[3] + 0.1).all()
    assert np.array_equal(liked[4], liked[5])
    assert panel.left == SHOCKED - 2
    assert run["rule_flow"].values[4].sum() > 0
    assert len(panel.scores) == TOKENS


@pytest.mark.parametrize("name", ["u", "pace"])
def test_step_sizes_must_be_above_nothing(name):
    with pytest.raises(InvalidValue, match=f"{name} must lie between"):
        FOUND.controls[name].check(0)


def test_one_expert_fewer_slots_than_experts_and_nothing_to_balance_are_told():
    with pytest.raises(InvalidValue, match="experts must lie between 2 and 64"):
        FOUND.controls["experts"].check(1)
    with pytest.raises(InvalidValue, match=r"must be at least the 64 experts; got 2 × 16 × 1"):
        config(experts=64, top_k=1, batch_size=2)
    with pytest.raises(InvalidValue, match="top_k must not exceed experts"):
        config(experts=2, top_k=4)
    with pytest.warns(UserWarning, match="nothing to balance"):
        config(experts=2, top_k=2)
