"""Losses for classes of unequal size equal the authors' code, in value and gradient; bad counts are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.methods.imbalance._shared import losses

ARRAYS = {
    name: torch.tensor(array)
    for name, array in np.load(Path(__file__).parents[3] / "golden" / "longtail_backdoor.npz").items()
}
COUNTS, TARGET, PRIOR = (ARRAYS[name] for name in ("class_counts", "target", "prior"))


def la(z: Tensor) -> Tensor:
    return losses.logit_adjusted(z, TARGET, losses.log_prior(COUNTS, floor=losses.TINY), tau=float(ARRAYS["tau"]))


RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "ce": lambda z: F.cross_entropy(z, TARGET),
    "focal": lambda z: losses.focal(z, TARGET, gamma=2),
    "cb": lambda z: losses.weighted(z, TARGET, losses.class_balanced_weights(COUNTS, beta=0.9999)),
    "grw": lambda z: losses.weighted(z, TARGET, losses.reweighting(COUNTS, power=1)),
    "bs": lambda z: losses.logit_adjusted(z, TARGET, losses.log_prior(COUNTS)),
    "la": la,
    "lade": lambda z: losses.lade(z, TARGET, losses.log_prior(COUNTS)),
}
#: The authors hold 1/C and the class shares of LADE in float32.
LOOSE = {"lade": 1e-8}


@pytest.mark.parametrize("name", RULES)
def test_a_loss_and_its_gradient_are_the_authors(name):
    z = ARRAYS["logits"].clone().requires_grad_()
    loss = RULES[name](z)
    (gradient,) = torch.autograd.grad(loss, z)
    close = LOOSE.get(name, 1e-10)
    np.testing.assert_allclose(loss.detach(), ARRAYS[f"{name}_loss"], rtol=close, atol=close)
    close = 1e-9 if name in LOOSE else 1e-10
    np.testing.assert_allclose(gradient, ARRAYS[f"{name}_grad"], rtol=close, atol=close)


def test_logit_adjustment_with_a_ready_prior_is_the_authors():
    shift = losses.log_prior(PRIOR, floor=losses.TINY)
    found = losses.logit_adjusted(ARRAYS["logits"], TARGET, shift, tau=float(ARRAYS["tau"]))
    np.testing.assert_allclose(found, ARRAYS["la_with_prior_loss"], rtol=1e-10, atol=1e-10)


def test_margins_are_the_authors():
    np.testing.assert_allclose(losses.ldam_margins(COUNTS), ARRAYS["ldam_margins"], rtol=1e-10)


def test_a_margin_lowers_the_right_logit_alone():
    z, margins = ARRAYS["logits"], losses.ldam_margins(COUNTS)
    lowered = z.clone()
    lowered[torch.arange(len(z)), TARGET] -= margins[TARGET]
    found = losses.ldam(z, TARGET, margins, scale=30)
    torch.testing.assert_close(found, F.cross_entropy(30 * lowered, TARGET))


@pytest.mark.parametrize(
    "same",
    [
        lambda z, y: losses.focal(z, y, gamma=0),
        lambda z, y: losses.logit_adjusted(z, y, losses.log_prior(COUNTS), tau=0),
        lambda z, y: losses.weighted(z, y, losses.reweighting(COUNTS, power=0)),
        lambda z, y: losses.weighted(z, y, losses.class_balanced_weights(COUNTS, beta=0)),
        lambda z, y: losses.ldam(z, y, torch.zeros(7), scale=1),
    ],
)
def test_a_knob_at_its_neutral_end_leaves_cross_entropy(same):
    torch.testing.assert_close(same(ARRAYS["logits"], TARGET), F.cross_entropy(ARRAYS["logits"], TARGET))


def test_weights_have_a_mean_of_1_and_grow_towards_the_rarest_class():
    for weights in (losses.class_balanced_weights(COUNTS), losses.reweighting(COUNTS)):
        assert weights.mean().item() == pytest.approx(1)
        assert (weights.diff() > 0).all()


def test_a_rate_a_class_gives_each_its_own_weight():
    rates = torch.tensor([0.0, 0.9]).double()
    weights = losses.class_balanced_weights(torch.tensor([5.0, 2.0]).double(), beta=rates)
    assert (weights[1] / weights[0]).item() == pytest.approx((1 - 0.9) / (1 - 0.9**2))


@pytest.mark.parametrize(
    "use", [losses.class_balanced_weights, losses.reweighting, losses.log_prior, losses.ldam_margins]
)
def test_an_empty_class_is_named(use):
    with pytest.raises(InvalidValue, match="class 1 has none"):
        use(torch.tensor([3, 0, 1]))


@pytest.mark.parametrize("beta", [1.0, -0.1])
def test_a_rate_outside_its_range_is_refused(beta):
    with pytest.raises(InvalidValue, match="beta must lie in 0 <= beta < 1"):
        losses.class_balanced_weights(COUNTS, beta=beta)


def test_lade_is_the_same_where_logits_lie_far_apart():
    generator = torch.Generator().manual_seed(0)
    logits = 10 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    counts = torch.tensor([9, 5, 3, 1], dtype=torch.float64)
    target, shift = torch.tensor([0, 1, 2, 3, 0, 1]), losses.log_prior(counts)
    found = []
    for gap in (0.0, 200.0):  # one row is lifted as a whole: no softmax changes, but the span of the logits does
        z = logits.clone()
        z[0] += gap
        z.requires_grad_()
        losses.lade(z, target, shift, strength=0.0).backward()
        found.append(z.grad)
    torch.testing.assert_close(*found)
    near = (logits - logits.mean()) / 10
    wide = torch.cat([near, near[:1] - 100.0])  # an example far below the rest adds nothing to a column
    both = [losses._sums(z, shift) for z in (near, wide)]
    torch.testing.assert_close(both[0][1], both[1][1])
    torch.testing.assert_close(both[0][0], both[1][0][:-1])
