"""Verifiers from the cheapest to the tightest: what one leaves open the next is asked for.

An image counts as certified by a verifier if this one or a cheaper one certified it, so the errors never rise from one
to the next. State-of-the-art tables use complete verifiers (branch and bound), which certify more than any of these.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from workbench.methods.certified.ibp import crown
from workbench.methods.certified.ibp.boxes import input_box
from workbench.methods.certified.ibp.interval import Bounds, others, propagate

Margins = Callable[[Bounds], Tensor]
#: Lower bounds of the margins (B, C) by each verifier.
MARGINS: dict[str, Margins] = {
    "ibp": lambda bounds: bounds.margin,
    "crown_ibp": crown.margins,
    "crown": crown.crown_margins,
}
TITLES = {"ibp": "IBP", "crown_ibp": "CROWN-IBP", "crown": "CROWN"}
CHUNK = 50  # images bounded backward at once


@torch.no_grad()
def verify(
    network: nn.Module, images: Tensor, labels: Tensor, eps: float, upto: str = "crown"
) -> dict[str, tuple[Tensor, Tensor]]:
    """Verifier → (certified (B,) bool, smallest margin (B,)), from IBP up to the one that is named.

    The smallest margin is the best lower bound so far of min_j logit_y - logit_j. Misclassified images are never
    certified and cost no backward pass. The network must be in eval mode.
    Raises BoxError, NoBoundRuleError as the bounds do; KeyError for an unknown verifier.
    """
    names = list(MARGINS)[: list(MARGINS).index(upto) + 1] if upto in MARGINS else [upto]
    found: dict[str, tuple[Tensor, Tensor]] = {}
    best = torch.full((len(labels),), -torch.inf, dtype=images.dtype, device=images.device)
    right = torch.ones(len(labels), dtype=torch.bool, device=images.device)
    for name in names:
        open_ = (right & ~(best > 0)).nonzero().squeeze(1)
        for rows in open_.split(CHUNK) if len(open_) else ():
            bounds = propagate(network, input_box(images[rows], eps), labels[rows])
            if name == "ibp":
                right[rows] = bounds.logits.argmax(1) == labels[rows]
            least = others(MARGINS[name](bounds), labels[rows]).amin(1)
            best[rows] = torch.maximum(best[rows], least)
        found[name] = (right & (best > 0), best.clone())
    return found


def certify(network: nn.Module, images: Tensor, labels: Tensor, eps: float, upto: str = "crown_ibp") -> list[str]:
    """A verdict an image: the first verifier that certified it ("IBP", …), "wrong" (misclassified) or "open".

    For one's own network, in whatever mode it stands: ``certify(model, images, labels, 8 / 255)``. Images (B, …) in
    [0, 1], labels (B,).
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        found = verify(network, images, labels, eps, upto)
        with torch.no_grad():
            wrong = network(images).argmax(1) != labels
    finally:
        for module, training in modes:
            module.training = training
    verdicts = ["wrong" if w else "open" for w in wrong.tolist()]
    for name, (certified, _) in reversed(found.items()):
        verdicts = [TITLES[name] if yes else old for yes, old in zip(certified.tolist(), verdicts, strict=True)]
    return verdicts
