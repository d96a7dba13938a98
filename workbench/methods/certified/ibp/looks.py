"""Looking at the network without training it: probes, errors at epoch ends and at the end, one picture."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench import data
from workbench.cards.errors import WorkbenchError
from workbench.cards.protocols import SessionProtocol
from workbench.data import order
from workbench.methods.certified.ibp import interval
from workbench.methods.certified.ibp.attack import Frozen, pgd
from workbench.methods.certified.ibp.knobs import IBP
from workbench.methods.certified.ibp.verify import TITLES, verify
from workbench.signals import emit, histogram

CHUNK = 125  # images propagated at once in evaluation, which bounds its memory


class UnsoundError(WorkbenchError):
    """An attack broke images that had been certified: the bounds are wrong."""


class Looks:
    """What the experiment's probes and evaluations emit; `config` and `network` change under its hands."""

    def __init__(self, network: nn.Module, config: IBP, session: SessionProtocol, source: Any) -> None:
        self.network, self.config, self.session, self.source = network, config, session, source
        self.probe_set = self._balanced(config.probe_images)
        self.epoch_set = self._balanced(config.epoch_images)
        self.verify_set = self._balanced(config.verify_images)
        self._try_rules()

    def _balanced(self, number: int) -> tuple[Tensor, Tensor]:
        rows = order.balanced(self.source.test_y, number, len(self.source.classes))
        return tensors(self.source.test_x[rows], self.source.test_y[rows], self.source.levels)

    def _try_rules(self) -> None:
        """Let a layer without a rule be named now, and not at the end of training."""
        with self.session.isolated(self.network):
            images, labels = (part[:2].to(self._device()) for part in self.verify_set)
            verify(self.network, images, labels, self.config.epsilon, "ibp")

    def errors(self) -> None:
        """Clean, attacked and certified error on the probe at the target radius; the session calls it isolated."""
        images, labels = self._there(self.probe_set)
        wrong, uncertified, bounds = self.verify(images, labels)
        points, broken = self._attack(images, labels, self.config.epsilon, "attack")
        broken |= wrong  # folding rounds differently
        errors = [int(mask.sum()) for mask in (wrong, broken, uncertified)]
        if errors != sorted(errors):
            self._unsound(f"clean, attacked and certified errors are {errors} of {len(labels)}, which must not fall")
        for name, number in zip(("clean_err", "pgd_err", "certified_err"), errors, strict=True):
            emit(name, 100 * number / len(labels))
        with torch.no_grad():
            emit("attack_ce", F.cross_entropy(self.network(points), labels))
            emit("ibp_ce", bounds.robust_loss())
        emit("margins", histogram(bounds.others().amin(1).cpu().numpy(), -10.0, 10.0, 40))
        active, inactive = shares(bounds)
        larger = torch.maximum(active, inactive)
        emit("balance", torch.where(larger > 0, torch.minimum(active, inactive) / larger, 0.0).mean())
        emit("inactive_share", inactive.mean())

    def verifiers(self) -> None:
        """The certified error of every verifier up to the control `verifier`, on the same images at the target."""
        images, labels = self._there(self.verify_set)
        found = self._verify(images, labels, self.config.epsilon)
        _, broken = self._attack(images, labels, self.config.epsilon, "verifiers")
        for name, (certified, _) in found.items():
            if wrongly := int((certified & broken).sum()):
                self._unsound(f"the attack breaks {wrongly} image(s) that {TITLES[name]} certified")
            emit(f"verified_{name}_err", 100 * (~certified).double().mean())
        with torch.no_grad():
            emit("verified_clean_err", 100 * (self.network(images).argmax(1) != labels).double().mean())
        emit("verified_pgd_err", 100 * broken.double().mean())

    def picture(self) -> None:
        """One image of the probe in its own box: both ends, the attack's point, each with a caption."""
        images, labels = self._there(self.probe_set)
        index, eps = self.config.picture_image % len(labels), self.config.picture_eps
        image, label = images[index : index + 1], labels[index : index + 1]
        found = self._verify(image, label, eps)
        point, broken = self._attack(image, label, eps, "picture")
        box = interval.input_box(image, eps)
        emit("picture", torch.cat((box.lower, image, box.upper, point))[:, 0].clamp(0, 1).cpu().numpy())
        with torch.no_grad():
            seen, attacked = (self.source.classes[int(self.network(x).argmax(1))] for x in (image, point))
        name = self.source.classes[int(label)]
        verdict = _verdict(found)
        if seen != name:
            verdict = f"wrong as it is: taken for {seen}"
        elif bool(broken):
            verdict = f"not robust: the attack is taken for {attacked}"
        lines = (f"pixels down to -{eps:g}", f"{name}: {verdict}", f"pixels up to +{eps:g}",
                 f"attack within {eps:g}: taken for {attacked}")  # fmt: skip
        emit("picture_verdict", "\n".join(lines))

    @torch.no_grad()
    def verify(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, interval.Bounds]:
        """Masks (B,) of misclassified images and of those that IBP does not certify at the target, and their bounds."""
        bounds = interval.propagate(self.network, interval.box_around(images, self.config.epsilon), labels)
        return bounds.logits.argmax(1) != labels, ~bounds.certified(), bounds

    def at_epoch_end(self) -> None:
        """Clean and certified error (IBP) on the epoch's test images."""
        self._count("test", *self.epoch_set)

    def at_the_end(self) -> None:
        """Clean and certified error (IBP) on the whole test set, and the verifiers' on theirs."""
        x, y = (part[: self.config.final_images] for part in (self.source.test_x, self.source.test_y))
        self._count("final", *tensors(x, y, self.source.levels))
        with self.session.isolated(self.network):
            self.verifiers()

    def _count(self, name: str, images: Tensor, labels: Tensor) -> None:
        """Emit clean and certified error on many images, a chunk at a time."""
        counts = np.zeros(2)
        with self.session.isolated(self.network):
            for x, y in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
                wrong, uncertified, _ = self.verify(*self._there((x, y)))
                counts += int(wrong.sum()), int(uncertified.sum())
        for kind, number in zip(("clean", "certified"), counts, strict=True):
            emit(f"{name}_{kind}_err", 100 * float(number) / len(labels))

    def _verify(self, images: Tensor, labels: Tensor, eps: float) -> dict[str, tuple[Tensor, Tensor]]:
        """Up to the verifier of the settings; one that has no rule for a layer is left out, with a warning."""
        try:
            return verify(self.network, images, labels, eps, self.config.verifier)
        except interval.NoBoundRuleError as error:
            if self.config.verifier == "ibp":
                raise
            found = verify(self.network, images, labels, eps, "ibp")
            warnings.warn(f"{error} Only IBP's verdicts are shown.", stacklevel=2)
            return found

    def _attack(self, images: Tensor, labels: Tensor, eps: float, what: str) -> tuple[Tensor, Tensor]:
        state = self.session.torch_rng("eval", what, self.session.step, device=str(self._device()))
        steps = self.config.probe_attack_steps
        return pgd(Frozen(self.network, images), images, labels, eps, steps=steps, generator=state)

    def _there(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, labels = pair
        return images.to(self._device()), labels.to(self._device())

    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _unsound(self, what: str) -> None:
        raise UnsoundError(f"At step {self.session.step} {what}; the bounds are unsound here. Please report this run.")


def _verdict(found: dict[str, tuple[Tensor, Tensor]]) -> str:
    """In words, by the first verifier that certifies the image, or the last that does not."""
    for name, (certified, least) in found.items():
        if bool(certified):
            return f"certified by {TITLES[name]}, margin at least {float(least):.3g}"
    name, (_, least) = list(found.items())[-1]
    return f"open: {TITLES[name]} leaves margins down to {float(least):.3g}, and the attack finds nothing"


def shares(bounds: interval.Bounds) -> tuple[Tensor, Tensor]:
    """(m,) shares of active and of inactive ReLUs."""
    active = torch.stack([r.active.mean() for r in bounds.relus])
    return active, torch.stack([r.inactive.mean() for r in bounds.relus])


def tensors(images: np.ndarray, labels: np.ndarray, levels: int) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and labels, as torch has them."""
    return torch.from_numpy(data.as_floats(images, levels)), torch.from_numpy(labels)
