"""Fashion-MNIST row by row, 28 steps of 28 pixels, the answer at the last: the paper's harder setting.

With the norm in few singular values the rectified recurrence explodes easily: sigma at most 1, gradients clipped, and
compare at matched loss. Images are shuffled anew each epoch (the authors' loader is not).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench import data
from workbench.cards.errors import InvalidValue
from workbench.cards.protocols import SessionProtocol
from workbench.data import order
from workbench.methods.continual.rich_lazy.knobs import RichLazy
from workbench.methods.continual.rich_lazy.recurrent import Recurrent


def build(config: RichLazy, session: SessionProtocol) -> Recurrent:
    """See `settings.build`. Raises `InvalidValue` for a probe or batch larger than the data."""
    source = data.load("fashion_mnist")
    for name, value, most in (
        ("probe", config.probe, len(source.test_y)), ("batch_size", config.batch_size, len(source.train_y))
    ):  # fmt: skip
        if value > most:
            raise InvalidValue(f"{name} must be at most {most}, the images that there are; got {value}.")
    classes, per_epoch = len(source.classes), len(source.train_y) // config.batch_size
    rows = order.balanced(source.test_y, config.probe, classes)
    rows = session.rng("eval", "rows").permutation(rows)  # so that the kernel's first few hold several classes

    def sequence(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(data.as_floats(images, source.levels))[:, 0]
        return pixels.transpose(0, 1), torch.from_numpy(labels)[None]

    def batch(step: int, _rule: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(step, per_epoch)
        own = session.rng("data", "rows", epoch).permutation(len(source.train_y))
        own = own[place * config.batch_size : (place + 1) * config.batch_size]
        return sequence(source.train_x[own], source.train_y[own])

    fixed = sequence(source.test_x[rows], source.test_y[rows])
    return Recurrent(config, session, batch=batch, probe=lambda rule: fixed, classes=classes, kernel_steps=(27,))
