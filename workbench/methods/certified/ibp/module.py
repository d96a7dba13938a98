"""Certified training with interval bounds as a LightningModule: one box a batch, its loss, and everything it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench import data
from workbench.cards.protocols import SessionProtocol
from workbench.data import order
from workbench.methods.certified.ibp import interval, regularizers
from workbench.methods.certified.ibp.boxes import check_labels
from workbench.methods.certified.ibp.init import initialise
from workbench.methods.certified.ibp.knobs import IBP
from workbench.methods.certified.ibp.looks import Looks, shares, tensors
from workbench.methods.certified.ibp.networks import build
from workbench.methods.certified.ibp.scene import Scene
from workbench.methods.certified.ibp.schedule import LiveRadius
from workbench.models.optim import make_optimizer
from workbench.signals import emit

TINY = 1e-6  # bounds are computed at this radius while eps is 0, for the regularisers


class Images:
    """Images in memory as ready batches; the order of an epoch is a function of (seed, epoch).

    `epoch` and `start` (in samples), set by the session, say what the next iterator yields; both are read at its first
    batch, and so is the configuration's batch size. A last batch of one image is left out: batch norm cannot take it.
    """

    def __init__(self, images: Tensor, labels: Tensor, config: IBP, session: SessionProtocol) -> None:
        self.images, self.labels, self.config, self.session = images, labels, config, session
        self.epoch = self.start = 0

    @property
    def batch_size(self) -> int:
        """Of the epoch that is open."""
        return self.config.batch_size

    def __len__(self) -> int:
        return order.count(len(self.labels), self.batch_size, smallest=2)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        permutation = self.session.rng("data", self.epoch).permutation(len(self.labels))
        for indices in order.batches(permutation, self.batch_size, self.start, smallest=2):
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
        images, labels = tensors(source.train_x[:limit], source.train_y[:limit], source.levels)
        interval.input_box(images, config.epsilon)
        check_labels(labels, self.classes)
        self.batches = Images(images, labels, config, session)
        self.looks = Looks(self.network, config, session, source)
        session.register(radius=self.radius)
        for probe in ("errors", "verifiers", "picture"):
            session.probe(probe, getattr(self.looks, probe))

    def _build(self, shape: tuple[int, int]) -> nn.Module:
        """The network, a function of the seed alone: built under a random state of its own."""
        seed = int(self.session.rng("init", "network").integers(2**62))
        c = self.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(
                c.network, width=c.width, shape=(1, *shape), classes=self.classes, batch_norm=c.batch_norm,
                own=c.own_network,
            )  # fmt: skip
            initialise(network, c.init)
        return network

    def _weights(self) -> list[Tensor]:
        return [m.weight for m in self.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    # -- training -----------------------------------------------------------------------------------------------------

    def train_dataloader(self) -> Images:
        """The training batches."""
        return self.batches

    def configure_optimizers(self) -> Any:
        """The optimizer of the settings; its rate falls to a fifth at two milestones, counted in epochs."""
        optimizer = make_optimizer(self.config.optimizer, self.network.parameters())
        milestones = [self.config.milestone_1, self.config.milestone_2]
        return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.2)]

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
        scene = Scene(self.network, images, labels, eps or TINY, c.epsilon, generator=self._starts)
        loss_in_force = getattr(c.losses, c.loss)
        robust = loss_in_force.value(scene) if eps else scene.bounds.robust_loss()
        bounds = scene.bounds
        clean = F.cross_entropy(bounds.logits, labels)
        main = clean if eps == 0 else (1 - c.kappa) * robust + c.kappa * clean
        scale = regularizers.weight(c.reg_weight, eps, c.epsilon)
        with torch.set_grad_enabled(scale > 0):  # their values are shown even where they weigh nothing
            widths = regularizers.mean_widths(bounds.relus)
            tight = regularizers.tightness(widths, bounds.input_width, c.tolerance)
            balance, skipped = regularizers.relu_balance(bounds.relus, c.tolerance)
        loss = main + scale * (tight * c.use_tightness + balance * c.use_balance)
        emit("loss", loss)
        emit("robust_loss", robust)
        emit("coefficient", loss_in_force.position)
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

    def _starts(self) -> torch.Generator:
        """Where this step's attack begins."""
        return self.session.torch_rng("method", "attack", self.session.step, device=str(self.device))

    @torch.no_grad()
    def _show(self, bounds: interval.Bounds, widths: Tensor) -> None:
        """Emit what the bounds look like, one value a layer."""
        stds = torch.stack([_spread(r.box.clean) for r in bounds.relus])
        active, inactive = shares(bounds)
        pull = bounds.input_width / (self.config.tolerance * widths)
        emit("input_width", bounds.input_width)
        emit("bound_width", widths)
        emit("bound_gain", widths / bounds.input_width)
        emit("output_width", bounds.output.radius.mean())
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
        return self.network, self.looks.probe_set[0][:2]

    def on_train_epoch_end(self) -> None:
        """Clean and certified error on the epoch's test images."""
        self.looks.at_epoch_end()

    def on_train_end(self) -> None:
        """Clean and certified error on the whole test set, and what each verifier says."""
        self.looks.at_the_end()


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over the batch, mean over units (torch's `std` takes fifteen times as long here)."""
    return (values - values.mean(0)).square().mean(0).sqrt().mean()
