"""The controller's formulas where everything is known in closed form, and which prompts are held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement.amft.controller import (
    WINDOW,
    Controller,
    cosine,
    entropy_gap,
    look_ahead,
    meta_gradient,
    mixture,
)
from workbench.methods.reinforcement.amft.prompts import INSIDE, OUTSIDE, check_apart, draw, held_out


class Quadratic:
    """L_SFT = |theta - a|²/2, L_RL = |theta - b|²/2 and U = -|theta - c|²/2, in float64."""

    def __init__(self, seed=0, p=7):
        generator = torch.Generator().manual_seed(seed)
        self.theta, self.a, self.b, self.c = torch.randn(4, p, generator=generator, dtype=torch.float64)

    @property
    def rl(self):
        return self.theta - self.b

    @property
    def sft(self):
        return self.theta - self.a

    def utility(self, mu, eta):
        return -float((look_ahead(self.theta, self.rl, self.sft, mu, eta) - self.c).square().sum()) / 2


@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("eta", [0.01, 0.5])
def test_the_meta_gradient_of_quadratics_is_the_closed_form_and_the_slope_of_the_utility(mu, eta):
    q = Quadratic()
    theta = look_ahead(q.theta, q.rl, q.sft, mu, eta)
    torch.testing.assert_close(theta, q.theta - eta * ((1 - mu) * (q.theta - q.b) + mu * (q.theta - q.a)))
    found = meta_gradient(q.c - theta, q.rl, q.sft, eta)
    assert found == pytest.approx(float(eta * (q.c - theta) @ (q.a - q.b)), rel=1e-12)
    if 0 < mu < 1:  # the utility is a parabola in mu, so that central differences are exact
        assert found == pytest.approx((q.utility(mu + 0.1, eta) - q.utility(mu - 0.1, eta)) / 0.2, rel=1e-9)


def test_following_the_meta_gradient_finds_the_mixture_where_the_best_point_lies_between_both():
    q = Quadratic()
    q.c = 0.7 * q.a + 0.3 * q.b
    mu, eta = 0.1, 0.5
    for _ in range(400):
        q.theta = look_ahead(q.theta, q.rl, q.sft, mu, eta)
        ahead = look_ahead(q.theta, q.rl, q.sft, mu, eta)
        mu += 0.1 * meta_gradient(q.c - ahead, q.rl, q.sft, eta)
    assert mu == pytest.approx(0.7, abs=1e-6)
    torch.testing.assert_close(q.theta, q.c, atol=1e-6, rtol=0)


def test_the_mixture_ends_at_either_gradient_and_refuses_a_weight_outside():
    q = Quadratic()
    torch.testing.assert_close(mixture(q.rl, q.sft, 0.0), q.rl)
    torch.testing.assert_close(mixture(q.rl, q.sft, 1.0), q.sft)
    with pytest.raises(InvalidValue, match=r"mu, the weight of imitation, must be from 0 to 1; got 1\.5"):
        mixture(q.rl, q.sft, 1.5)


def test_entropy_above_its_target_asks_for_imitation_and_below_for_less():
    assert entropy_gap(0.5, 0.2) == pytest.approx(0.3)
    assert entropy_gap(0.05, 0.2) == pytest.approx(-0.15)


def test_gradients_that_vanish_have_no_cosine():
    a = torch.tensor([1.0, 0.0])
    assert cosine(a, torch.tensor([-2.0, 0.0])) == pytest.approx(-1)
    assert cosine(a, torch.tensor([1.0, 1.0])) == pytest.approx(0.5**0.5)
    assert cosine(a, torch.zeros(2)) is None


def test_estimates_are_averaged_over_the_last_five_and_steady_ones_drive_with_all_their_rate():
    rl, sft = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0])
    controller = Controller(0.5)
    assert controller.normalised() == 0
    found = [controller.take(torch.tensor([float(x), 9.0]), rl, sft, 0.1) for x in range(8)]
    assert found[0] == 0
    assert found[1] == pytest.approx(0.1 * 0.5)
    assert found[7] == pytest.approx(0.1 * np.mean([3, 4, 5, 6, 7]))
    assert len(controller.estimates) == WINDOW
    steady, wavering = Controller(0.5), Controller(0.5)
    for i in range(12):
        steady.take(torch.tensor([-2.0, 0.0]), rl, sft, 0.1)
        wavering.take(torch.tensor([(-1.0) ** i, 0.0]), rl, sft, 0.1)
    assert steady.normalised() == pytest.approx(-1)
    assert abs(wavering.normalised()) < 0.6


def test_mu_stays_within_its_bounds():
    controller = Controller(0.5)
    controller.move(0.05, -0.01, 0.05, 0.95)
    assert controller.mu == pytest.approx(0.54)
    controller.move(0.5, 0.5, 0.05, 0.95)
    assert controller.mu == 0.95
    controller.move(-3.0, 0.0, 0.05, 0.95)
    assert controller.mu == 0.05


def test_a_restored_controller_goes_on_as_the_saved_one():
    rl, sft = torch.tensor([1.0, 2.0]), torch.tensor([0.5, -1.0])
    first, second = Controller(0.5), Controller(0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        first.take(torch.randn(2, generator=generator), rl, sft, 0.1)
    second.load_state_dict(first.state_dict())
    last = torch.randn(2, generator=generator)
    assert first.take(last, rl, sft, 0.1) == second.take(last, rl, sft, 0.1)
    assert first.normalised() == second.normalised()
    assert first.mu == second.mu


def test_held_out_prompts_never_are_drawn_for_training():
    rng = np.random.default_rng(0)
    training, validation = draw(rng, 3000, held=False), draw(rng, 400, held=True)
    assert not held_out(training).any()
    assert held_out(validation).all()
    assert not {r.tobytes() for r in training.tokens} & {r.tobytes() for r in validation.tokens}
    assert set(training.sizes) == set(range(INSIDE[0], INSIDE[1] + 1))
    assert set(draw(rng, 40, held=True, sizes=OUTSIDE).sizes) == {6, 7}
    check_apart(training, validation)


def test_validation_that_is_also_trained_on_is_refused_with_the_count():
    training = draw(np.random.default_rng(0), 30, held=False)
    with pytest.raises(InvalidValue, match="3 of the 5 prompts for validation are also trained on"):
        check_apart(training.take(range(10)), training.take([7, 8, 9, 10, 11]))
