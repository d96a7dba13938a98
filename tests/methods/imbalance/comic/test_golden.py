"""Modifiers, corrector, classifiers and balancer equal the authors' code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from workbench.methods.imbalance.comic import losses
from workbench.methods.imbalance.comic.corrector import Corrector, recall
from workbench.methods.imbalance.comic.networks import normed_logits

GIVEN = {k: torch.tensor(v) for k, v in np.load(Path(__file__).parents[3] / "golden" / "comic_losses.npz").items()}
LABELS, COUNTS = GIVEN["labels"], GIVEN["class_counts"]


def close(found: Tensor, name: str, *, rtol: float = 1e-6, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(found.detach().numpy(), GIVEN[name].numpy(), rtol=rtol, atol=atol, err_msg=name)


def multi_focal(x: Tensor, y: Tensor, power: float = 1 / 6, attention: Tensor | None = None) -> Tensor:
    weight = losses.class_weights(COUNTS, power)
    neg, pos, clip = (float(GIVEN[n]) for n in ("gamma_neg", "gamma_pos", "clip"))
    each = losses.focal(x, y, weight=weight, gamma_neg=neg + weight, gamma_pos=pos, clip=clip, attention=attention)
    return each.sum()


@pytest.mark.parametrize(("name", "power"), [("multi_focal", 1 / 6), ("prior_focal", 1 / 3)])
def test_a_modifier_its_weights_and_its_gradient_are_the_authors(name, power):
    x = GIVEN["logits"].clone().requires_grad_()
    together = GIVEN["co_occurrence_counts"] / GIVEN["co_occurrence_counts"].sum(0)
    attention = losses.prior(LABELS, together) if name == "prior_focal" else None
    loss = multi_focal(x, LABELS, power, attention)
    loss.backward()
    close(losses.class_weights(COUNTS, power), f"{name}_class_weight")
    close(loss, f"{name}_loss")
    close(x.grad, f"{name}_grad")


def test_the_corrector_recalls_counts_weighs_and_trains_as_the_authors():
    x = GIVEN["logits"].float().requires_grad_()
    y = LABELS.float()
    corrector = Corrector(COUNTS)
    found = recall(x, y, level=float(GIVEN["corrector_tau"]), margin=float(GIVEN["corrector_margin"]))
    np.testing.assert_array_equal(found.labels.numpy(), GIVEN["corrector_recalled_labels"])
    loss = corrector.loss(x, y, found, batch_size=len(x))
    loss.backward()
    np.testing.assert_array_equal(corrector.counts.numpy(), GIVEN["corrector_counts_after"])
    close(losses.class_weights(corrector.counts, 1 / 6), "corrector_weight_after")
    close(loss, "corrector_loss_epoch2")
    close(x.grad, "corrector_grad_epoch2")


@pytest.mark.parametrize(("name", "shift"), [("head", -1.0), ("tail", 2.0)])
def test_logits_of_normalised_classifiers_are_the_authors(name, shift):
    weight, features = GIVEN[f"{name}_classifier_weight"], GIVEN["features"]
    close(normed_logits(features, weight), f"{name}_logits_plain")
    close(normed_logits(features, weight, GIVEN["moving_mean"], shift), f"{name}_logits_moved")


def test_the_balancer_and_its_gradient_are_the_authors():
    balanced = GIVEN["balanced_logits"].clone().requires_grad_()
    loss = losses.balancer(GIVEN["head_logits_plain"], GIVEN["tail_logits_plain"], balanced, LABELS, multi_focal)
    loss.backward()
    close(loss, "balancer_loss")
    close(balanced.grad, "balancer_grad")
