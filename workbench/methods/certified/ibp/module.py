"""Certified training with interval bounds as a LightningModule: one box a batch, its loss, and everything it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench import data
from workbench.cards.errors import WorkbenchError
from workbench.cards.protocols import SessionProtocol
from workbench.data import order
from workbench.methods.certified.ibp import interval, regularizers
from workbench.methods.certified.ibp.attack import folded, pgd
from workbench.methods.certified.ibp.card import IBP
from workbench.methods.certified.ibp.init import initialise
from workbench.methods.certified.ibp.networks import cnn7
from workbench.methods.certified.ibp.schedule import LiveRadius
from workbench.models.optim import make_optimizer
from workbench.signals import emit, histogram

TINY = 1e-6  # bounds are computed at this radius while eps is 0, for the regularisers
CHUNK = 125  # images propagated at once in evaluation, which bounds its memory


class UnsoundError(WorkbenchError):
    """An attack broke images that had been certified: the bounds are wrong."""


class Images:
    """Images in memory as ready batches; the order of an epoch is a function of (seed, epoch).

    `epoch` and `start` (in samples) say what the next iterator yields; both are read at its first batch. The batch size
    is the configuration's, read at the same moment. A last batch of one image is left out: batch norm cannot take it.
    """

    def __init__(self, images: Tensor, labels: Tensor, config: IBP, session: SessionProtocol) -> None:
        self.images, self.labels, self.config, self.session = images, labels, config, session
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return order.count(len(self.labels), self.config.batch_size, smallest=2)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        permutation = self.session.rng("data", self.epoch).permutation(len(self.labels))
        for indices in order.batches(permutation, self.config.batch_size, self.start, smallest=2):
            rows = torch.from_numpy(indices)
            yield self.images[rows], self.labels[rows]


class Module(pl.LightningModule):
    """The experiment; `config` is changed in place by the session and read afresh at every step."""

    def __init__(self, config: IBP, session: SessionProtocol) -> None:
        super().__init__()
        self.config, self.session = config, session
        source = data.load(config.data)
        self.classes = len(source.classes)
        self.network = self._build(source.shape)
        self.initial = [w.detach().clone() for w in self._weights()]
        self.radius = LiveRadius(config.ramp_mid, config.ramp_beta)
        limit = config.train_images
        images, labels = _tensors(source.train_x[:limit], source.train_y[:limit], source.levels)
        interval.input_box(images, config.epsilon)
        interval.check_labels(labels, self.classes)
        self.batches = Images(images, labels, config, session)
        self.test = source
        self.probe_set = self._balanced(config.probe_images)
        self.epoch_set = self._balanced(config.epoch_images)
        session.register(radius=self.radius)
        session.probe("errors", self.probe)

    def _build(self, shape: tuple[int, int]) -> nn.Sequential:
        """The network, a function of the seed alone: built under a random state of its own."""
        seed = int(self.session.rng("init", "network").integers(2**62))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = cnn7(
                self.config.width,
                shape=(1, *shape),
                classes=self.classes,
                batch_norm=self.config.batch_norm,
                first_stride=2 if min(shape) >= 16 else 1,
            )
            initialise(network, self.config.init)
        return network

    def _weights(self) -> list[Tensor]:
        return [m.weight for m in self.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    def _balanced(self, number: int) -> tuple[Tensor, Tensor]:
        rows = order.balanced(self.test.test_y, number, self.classes)
        return _tensors(self.test.test_x[rows], self.test.test_y[rows], self.test.levels)

    # -- training -----------------------------------------------------------------------------------------------------

    def train_dataloader(self) -> Images:
        """The training batches."""
        return self.batches

    def configure_optimizers(self) -> Any:
        """The optimizer of the settings; its rate falls to a fifth at two milestones, counted in epochs."""
        optimizer = make_optimizer(self.config.optimizer, self.network.parameters())
        milestones = [self.config.milestone_1, self.config.milestone_2]
        return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.2)]

    def on_train_epoch_start(self) -> None:
        """Move the batches to this epoch, unless they stand in it already (a run that goes on in its middle)."""
        if self.batches.epoch != self.current_epoch:
            self.batches.epoch, self.batches.start = self.current_epoch, 0

    def _advance(self, batch_idx: int) -> float:
        """The radius for this step; the ramp is counted in epochs, so its ends follow the batch size."""
        per_epoch = len(self.batches)
        began = self.session.step - batch_idx - self.current_epoch * per_epoch
        end = began + self.config.ramp_epochs * per_epoch
        c = self.config
        return self.radius.advance(self.session.step, start=began, end=end, target=c.epsilon, frozen=c.freeze_eps)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch of images (B, 1, H, W) and labels (B,); emits everything there is to see of it."""
        images, labels = batch
        c, eps = self.config, self._advance(batch_idx)
        bounds = interval.propagate(self.network, interval.box_around(images, eps or TINY), labels)
        robust, clean = bounds.robust_loss(), F.cross_entropy(bounds.logits, labels)
        main = clean if eps == 0 else (1 - c.kappa) * robust + c.kappa * clean
        scale = regularizers.weight(c.reg_weight, eps, c.epsilon)
        with torch.set_grad_enabled(scale > 0):  # their values are shown even where they weigh nothing
            widths = regularizers.mean_widths(bounds.relus)
            tight = regularizers.tightness(widths, bounds.input_width, c.tolerance)
            balance, skipped = regularizers.relu_balance(bounds.relus, c.tolerance)
        loss = main + scale * (tight * c.use_tightness + balance * c.use_balance)
        emit("loss", loss)
        emit("robust_loss", robust)
        emit("clean_ce", clean)
        emit("reg_tightness", tight)
        emit("reg_relu", balance)
        emit("reg_scale", scale)
        emit("skipped_layers", skipped.sum())
        emit("eps", eps)
        emit("eps_target", c.epsilon)
        emit("lr", float(self.trainer.optimizers[0].param_groups[0]["lr"]))
        self._show(bounds, widths.detach())
        return loss

    @torch.no_grad()
    def _show(self, bounds: interval.Bounds, widths: Tensor) -> None:
        """Emit what the bounds look like, one value a layer."""
        every = torch.cat((widths, bounds.output.radius.mean()[None]))
        stds = torch.stack([_spread(r.box.clean) for r in bounds.relus])
        active, inactive = _shares(bounds)
        pull = bounds.input_width / (self.config.tolerance * widths)
        emit("input_width", bounds.input_width)
        emit("bound_width", every)
        emit("bound_gain", every / bounds.input_width)
        emit("signal_std", stds)
        emit("relative_width", widths / stds)
        emit("relu_active", active)
        emit("relu_inactive", inactive)
        emit("relu_unstable", 1 - active - inactive)
        emit("tightness_pull", torch.where(pull < 1, pull, 0.0))
        moved = [(w - w0.to(w)).norm() / w0.norm() for w, w0 in zip(self._weights(), self.initial, strict=True)]
        emit("relative_change", torch.stack(moved))

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clip at the control's norm, after showing the norm as it came."""
        emit("grad_norm", nn.utils.clip_grad_norm_(self.network.parameters(), self.config.grad_clip))

    def final_model(self) -> tuple[nn.Module, Tensor]:
        """The network alone, images (B, 1, H, W) in [0, 1] to logits (B, classes), and an example of its input."""
        return self.network, self.probe_set[0][:2]

    # -- looking ------------------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Clean, attacked and certified error on the probe at the target radius; the session calls it isolated."""
        images, labels = (t.to(self.device) for t in self.probe_set)
        wrong, uncertified, bounds = self.verify(images, labels)
        generator = self.session.torch_rng("eval", "attack", self.session.step, device=str(self.device))
        _, broken = pgd(
            folded(self.network),
            images,
            labels,
            self.config.epsilon,
            steps=self.config.probe_attack_steps,
            generator=generator,
        )
        broken |= wrong  # folding rounds differently
        errors = [int(mask.sum()) for mask in (wrong, broken, uncertified)]
        if errors != sorted(errors):
            raise UnsoundError(
                f"At step {self.session.step} clean, attacked and certified errors are {errors} of {len(labels)}, "
                "which must not fall; the interval bounds are unsound here. Please report this run."
            )
        for name, number in zip(("clean_err", "pgd_err", "certified_err"), errors, strict=True):
            emit(name, 100 * number / len(labels))
        emit("margins", histogram(bounds.others().amin(1).cpu().numpy(), -10.0, 10.0, 40))
        active, inactive = _shares(bounds)
        larger = torch.maximum(active, inactive)
        emit("balance", torch.where(larger > 0, torch.minimum(active, inactive) / larger, 0.0).mean())
        emit("inactive_share", inactive.mean())

    @torch.no_grad()
    def verify(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, interval.Bounds]:
        """Masks (B,) of misclassified and of uncertified images at the target radius, and their bounds."""
        bounds = interval.propagate(self.network, interval.box_around(images, self.config.epsilon), labels)
        return bounds.logits.argmax(1) != labels, ~bounds.certified(), bounds

    def _verify_all(self, name: str, images: Tensor, labels: Tensor) -> None:
        """Emit clean and certified error on many images, a chunk at a time."""
        counts = np.zeros(2)
        with self.session.isolated(self):
            for x, y in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
                wrong, uncertified, _ = self.verify(x.to(self.device), y.to(self.device))
                counts += int(wrong.sum()), int(uncertified.sum())
        for kind, number in zip(("clean", "certified"), counts, strict=True):
            emit(f"{name}_{kind}_err", 100 * float(number) / len(labels))

    def on_train_epoch_end(self) -> None:
        """Clean and certified error on the epoch's test images."""
        self._verify_all("test", *self.epoch_set)

    def on_train_end(self) -> None:
        """Clean and certified error on the whole test set."""
        x, y = (part[: self.config.final_images] for part in (self.test.test_x, self.test.test_y))
        self._verify_all("final", *_tensors(x, y, self.test.levels))


def _shares(bounds: interval.Bounds) -> tuple[Tensor, Tensor]:
    """(m,) shares of active and of inactive ReLUs."""
    active = torch.stack([r.active.mean() for r in bounds.relus])
    return active, torch.stack([r.inactive.mean() for r in bounds.relus])


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over the batch, mean over units (torch's `std` takes fifteen times as long here)."""
    return (values - values.mean(0)).square().mean(0).sqrt().mean()


def _tensors(images: np.ndarray, labels: np.ndarray, levels: int) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(data.as_floats(images, levels)), torch.from_numpy(labels)
