"""The whole experiment: the group moves live, biases in place of a loss, what is found, what is refused."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.cards import card
from workbench.cards.errors import InvalidValue
from workbench.detectors import load, scan
from workbench.methods.experts._shared import balance
from workbench.methods.experts.global_lbl.knobs import GlobalLbl
from workbench.methods.experts.global_lbl.module import Experiment
from workbench.models.moe_gpt import top_k_routing
from workbench.runs import Store, compose, launch
from workbench.steering.randomness import Streams

EXPERIMENT = "experts/global_lbl"
OFF = {"tracking": "off"}


class Alone:
    """What an experiment asks of a session, without one."""

    def __init__(self, config: GlobalLbl) -> None:
        self.config, self.seed, self.step = config, 0, 1
        self.streams = Streams(0)
        self.rng, self.torch_rng = self.streams.numpy, self.streams.torch

    def register(self, **objects):
        """Nothing is kept."""

    def stage(self, name, index):
        """No stages."""

    def guard(self):
        """Switched off."""
        return SimpleNamespace(batch=lambda batch: batch, passes=lambda loss: True)

    def isolated(self):
        """Nothing to protect."""
        return contextlib.nullcontext()


def tiny(**settings):
    """A small experiment outside any run."""
    config = GlobalLbl(length=16, width=32, hidden=32, eval_sequences=2, **settings)
    return Experiment(config, Alone(config))


def routing(seed=0, tokens=32 * 16, experts=8, k=2):
    """Random logits (T, E) with gradient, routed to the top K."""
    logits = torch.randn(tokens, experts, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    probabilities = logits.softmax(-1)
    weight, chosen = probabilities.topk(k)
    return top_k_routing(chosen, weight, logits, probabilities, probabilities)


def test_the_group_decides_over_what_the_loss_is_taken():
    lab, one = tiny(alpha=0.5), routing()
    values = {}
    for group in (1, 4, 32):
        lab.config.balance_group = group
        values[group] = float(lab.auxiliary([one]).detach())
        assert values[group] == pytest.approx(0.5 * float(balance.load_balancing(one, 32 // group).detach()))
    assert values[1] > values[4] > values[32]  # the smaller the group, the more chance looks like imbalance


def test_accumulated_counts_differ_from_both_and_shuffled_bytes_are_as_many_as_a_group():
    one = routing()
    lab = tiny(alpha=0.5, balance_group=4)
    own = float(lab.auxiliary([one]).detach())
    lab.config.counts = "accumulated"
    assert float(lab.auxiliary([one]).detach()) != own
    lab = tiny(alpha=0.5, balance_group=1, lbl_tokens="shuffled")
    loss = lab.auxiliary([one])
    loss.backward()
    touched = (one.logits.grad.abs().sum(-1) > 0).sum()
    assert touched == 16  # bytes of one sequence


def test_a_bias_takes_the_place_of_the_loss():
    lab, one = tiny(balancing="bias", u=0.01, layers=1), routing()
    assert float(lab.auxiliary([one])) == 0
    lab.after([one], lab.draw(1))
    moved, counts = lab.network.routers[0].bias, one.counts.float()
    assert torch.equal(moved, 0.01 * (counts.mean() - counts).sign())


def test_a_pure_batch_is_of_one_domain_and_a_mixed_one_of_all():
    lab = tiny()
    assert lab.draw(5).domain.bincount().tolist() == [8, 8, 8, 8]
    lab.config.batch_mix = "pure"
    assert lab.draw(5).domain.unique().tolist() == [1]


def test_the_same_step_draws_the_same_batch():
    lab = tiny()
    assert torch.equal(lab.draw(3).tokens, tiny().draw(3).tokens)
    assert not torch.equal(lab.draw(3).tokens, lab.draw(4).tokens)


def test_a_run_is_steered_and_its_group_is_recorded(tmp_path):
    rules = [{"when": {"step": 6}, "then": {"balance_group": 32}}]
    run = launch(EXPERIMENT, arm="micro", preset="smoke", store=Store(tmp_path), overrides={**OFF, "rules": rules})
    assert run.wait(240) == "finished", run.message
    groups = np.asarray(run.reader.scalars("balance_group").values)
    assert groups[0] == 1
    assert groups[-1] == 32
    _, loads = run.reader.array_at("load_domain")
    assert loads.shape == (3, 4, 8)
    np.testing.assert_allclose(loads.sum(-1), 1, rtol=1e-6)
    assert "SHA-256" in run.reader.text_at("found")[1]


def test_weights_that_are_no_numbers_end_the_run_with_a_sentence():
    lab = tiny()
    lab.session.step = 1
    with torch.no_grad():
        lab.network.routers[0].weight.fill_(float("nan"))
    with pytest.raises(InvalidValue, match="logits are not finite, so nothing was routed"):
        lab.step()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"balance_group": 5}, "balance_group must divide batch_size; got groups of 5 in batches of 32 sequences"),
        ({"balance_group": 64}, "balance_group must divide batch_size"),
        ({"alpha": -0.1}, "alpha must lie between 0 and 0.5"),
        ({"experts": 1}, "experts must lie between 2 and 64"),
        ({"experts": 4, "top_k": 5}, "top_k must not exceed experts; got 5 of 4"),
        ({"length": 4}, "length must lie between 8 and 1024"),
        ({"domains": ["python"]}, "domains must name at least two"),
    ],
)
def test_what_cannot_be_is_refused_before_the_run(settings, sentence):
    with pytest.raises(InvalidValue, match=sentence):
        compose(EXPERIMENT, preset="tour", overrides=settings)


def test_nothing_to_balance_is_a_warning():
    with pytest.warns(UserWarning, match="nothing to balance"):
        GlobalLbl(experts=4, top_k=4).validate()


def test_even_and_generic_is_found_and_even_and_special_is_not():
    steps = np.arange(120)
    columns = {
        "mean_specialisation": (steps, np.full(120, 0.02)), "worst_violation": (steps, np.full(120, 0.3)),
        "balance_group": (steps, np.ones(120)),
    }  # fmt: skip
    found = [f for f in scan(columns, load(card(EXPERIMENT))) if f.id == "over_balanced"]
    assert found[-1].first == 0
    assert "specialisation 0.020" in found[-1].sentence
    columns["mean_specialisation"] = (steps, np.full(120, 0.2))
    assert not [f for f in scan(columns, load(card(EXPERIMENT))) if f.id == "over_balanced"]
