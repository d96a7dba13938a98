"""The losses, their ablations and their gradients are those of the authors' code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.methods.imbalance.semixup.losses import labelled_mixup, semixup

ARRAYS = dict(np.load(Path(__file__).parents[3] / "golden" / "semixup_loss.npz"))
COEFFICIENTS = {name: float(ARRAYS[name]) for name in ("coef_cons", "coef_mixup", "coef_cons_mixup")}
LEFT_OUT = {"1": "coef_cons", "2": "coef_mixup", "3": "coef_cons_mixup"}


def logits() -> list[torch.Tensor]:
    names = ("logits_of_mixed_image", "mixed_logits", "logits_aug", "logits")
    return [torch.tensor(ARRAYS[name], requires_grad=True) for name in names]


def same(name: str, value: torch.Tensor) -> None:
    np.testing.assert_allclose(value.detach().numpy(), ARRAYS[name].squeeze(), rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["mse", "kl"])
def test_the_four_terms_and_the_gradient_into_the_mixed_picture_are_the_authors(kind):
    given = logits()
    found = semixup(*given, **COEFFICIENTS, kind=kind)
    for term in ("cons", "mixup", "cons_mixup", "cons_aug_mixup"):
        same(f"{kind}_loss_{term}", getattr(found, term))
    same(f"{kind}_total", found.total)
    found.total.backward()
    same(f"{kind}_grad_wrt_logits_of_mixed_image", given[0].grad)
    assert all(bool(z.grad.any()) for z in given)  # into both sides of every term


@pytest.mark.parametrize("kind", ["mse", "kl"])
@pytest.mark.parametrize("without", ["1", "2", "3", "12", "13", "23"])
def test_the_ablations_are_the_authors(kind, without):
    coefficients = COEFFICIENTS | {LEFT_OUT[digit]: 0.0 for digit in without}
    same(f"{kind}_total_without_{without}", semixup(*logits(), **coefficients, kind=kind).total)


def test_labelled_mixup_is_the_authors():
    z, first, second = logits()[0], torch.tensor(ARRAYS["target"]), torch.tensor(ARRAYS["target_flipped"])
    same("labelled_mixup_loss", labelled_mixup(z, first, second, float(ARRAYS["alpha"])))
    same("labelled_plain_loss", F.cross_entropy(z, first))
    torch.testing.assert_close(labelled_mixup(z, first, second, 1.0), F.cross_entropy(z, first))
