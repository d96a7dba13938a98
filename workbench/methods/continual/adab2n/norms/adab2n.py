"""AdaB2N (Lv et al., NeurIPS 2023, arXiv 2310.08855): balanced statistics in training, a slower window for testing.

Equal to the authors' layer (lvyilin/AdaB2N @9aaba7e, models/utils/adab2n.py) on golden vectors. Changed: the window's
step size is a buffer, so that a resumed run goes on with it (theirs is a Python attribute, and restarts at m^kappa);
the batch's composition comes from the context and ends with the step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.methods.continual._shared.context import Batch, NormContext, first_eta, next_eta
from workbench.methods.continual.adab2n.norms._window import copy_state

JOINT = True


class AdaB2N(nn.Module):
    """Takes the place of a BatchNorm2d of C channels.

    `psi` (T,) learns how much a task's images weigh in the batch's statistics beyond their number; `eta` () is the step
    size of the window (0: none yet), `running_var` follows the *biased* variance (torch's follows the unbiased one, so
    that kappa = 1 in task 0 is not torch's to the bit).
    """

    weight: nn.Parameter
    psi: nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    eta: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int, context: NormContext, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.context, self.eps, self.momentum = context, eps, momentum
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.psi = nn.Parameter(torch.zeros(context.tasks))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("eta", torch.zeros(()))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def window_input(self, x: Tensor) -> Tensor:
        """What the running values are means of: the layer's input x (B, C, H, W)."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W); in train mode also move the window, and leave the statistics loss with the context.

        Raises `InvalidValue` for a batch of another size than announced, and for one image with one pixel.
        """
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        if x.numel() == x.shape[1]:
            raise InvalidValue(
                f"A norm layer needs more than one value a channel in train mode; got {tuple(x.shape)}. "
                "Use a batch of at least 2 images, or larger feature maps."
            )
        now = self.context.checked(len(x))
        eta = self._eta()
        mean, centred, var = self._statistics(x, now, eta)
        gap = self._move(mean, var, eta)
        if now is not None:
            now.gaps.append(gap)
        scale = self.weight * (var + self.eps).rsqrt()
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None])

    def _statistics(self, x: Tensor, now: Batch | None, eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (C,), x minus it (B, C, H, W) and biased variance (C,), each task weighed by `shares`.

        In task 0, and where the composition is unknown, every image weighs the same.
        """
        if now is None or now.counts is None or now.current == 0:
            if now is not None:
                now.note(None if now.counts is None else now.counts / len(x), eta)
            mean = x.mean((0, 2, 3))
            centred = x - mean[:, None, None]
            return mean, centred, centred.square().mean((0, 2, 3))
        shares = self.shares(now.counts)
        assert now.tasks is not None
        samples = (shares / now.counts.clamp(min=1))[now.tasks]
        if self.context.renormalise:
            samples = samples / samples.sum()
            shares = torch.where(now.counts > 0, shares, 0.0)
            shares = shares / shares.sum()
        now.note(torch.where(now.counts > 0, shares, 0.0), eta)
        mean = samples @ x.mean((2, 3))
        centred = x - mean[:, None, None]
        return mean, centred, samples @ centred.square().mean((2, 3))

    def shares(self, counts: Tensor) -> Tensor:
        """(t+1,) posterior mean of a Dirichlet with concentrations exp(psi_k) + n_k, for counts n (t+1,).

        A seen task without an image in the batch keeps its share, which is then lost to the batch's mean: it shrinks
        towards 0. That is the authors' behaviour; `NormContext.renormalise` gives the share to the others.
        """
        concentrations = self.psi[: len(counts)].exp() + counts
        return concentrations / concentrations.sum()

    def _eta(self) -> Tensor:
        """Step size of this batch: the recursion from the last one's (a moved kappa goes on from there)."""
        m, kappa = self.context.momentum or self.momentum, self.context.kappa
        following = next_eta(self.eta, m, kappa)
        return torch.where(self.eta == 0, first_eta(m, kappa), following)

    def _move(self, mean: Tensor, var: Tensor, eta: Tensor) -> Tensor:
        """Move the window to these statistics; the loss that pulls them to it: MSE of means plus MSE of variances."""
        with torch.no_grad():
            self.eta.copy_(eta)
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, eta)
            self.running_var.lerp_(var, eta)
        # copies: the running values move on before the backward pass reads them
        return F.mse_loss(mean, self.running_mean.clone()) + F.mse_loss(var, self.running_var.clone())


def build(bn: nn.BatchNorm2d, context: NormContext) -> nn.Module:
    """The layer in the place of `bn`."""
    assert bn.momentum is not None
    layer = AdaB2N(bn.num_features, context, eps=bn.eps, momentum=bn.momentum)
    copy_state(bn, layer)
    return layer
