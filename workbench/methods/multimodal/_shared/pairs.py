"""Two modalities of the same objects, standardised by the training part, with a fixed grain of noise each.

Which objects train is drawn anew with each seed; persons and voices that test are not among those that train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.data import load as load_pictures
from workbench.data.sets import handwritten_views, watch_exercises
from workbench.methods.multimodal._shared import spoken
from workbench.methods.multimodal._shared.knobs import MultimodalConfig

TEST = 1000  # samples
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Part:
    """Samples: `a` (N, …) and `v` (N, …) float32 standardised, `grain_a` and `grain_v` alike standard normal, `y` (N,).

    Raises `InvalidValue` if the modalities do not hold the same number of samples, or a sample lacks one of them.
    """

    a: Tensor
    v: Tensor
    y: Tensor
    grain_a: Tensor
    grain_v: Tensor

    def __post_init__(self) -> None:
        check(self.a, self.v, self.y)

    def __len__(self) -> int:
        return len(self.y)

    def inputs(self, c: MultimodalConfig, rows: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
        """What the network is given of those rows: noise added, then turned up or down."""
        return (
            c.gain_a * (self.a[rows] + c.noise_a * self.grain_a[rows]),
            c.gain_v * (self.v[rows] + c.noise_v * self.grain_v[rows]),
        )


@dataclass(frozen=True)
class Pair:
    """Two modalities, by name, and the parts that train, choose (`valid`) and test; `classes` many classes."""

    a: str
    v: str
    classes: int
    train: Part
    valid: Part
    test: Part


def check(a: Tensor, v: Tensor, y: Tensor) -> None:
    """Refuse modalities of unequal number, and samples that lack one (an entry that is no number)."""
    if not len(a) == len(v) == len(y):
        raise InvalidValue(
            f"Both modalities and the labels must hold the same samples; got {len(a)} of a, {len(v)} of v and {len(y)} "
            "labels."
        )
    for name, x in (("a", a), ("v", v)):
        absent = (~torch.isfinite(x.flatten(1))).any(1).nonzero().flatten()
        if len(absent):
            raise InvalidValue(
                f"Sample {int(absent[0])} has no modality {name}: its input is not finite ({len(absent)} such). Leave "
                "it out, or fill it with the training mean."
            )


def load(name: str, n_train: int, n_valid: int, rng: np.random.Generator) -> Pair:
    """The pair of that name: `n_train` training samples, and up to `n_valid` to choose by and 1,000 to test.

    Raises `UnknownName`; `MissingData` with what brings it; `InvalidValue` for more samples than there are.
    """
    if name not in LOADERS:
        raise UnknownName("pair", name, LOADERS)
    return LOADERS[name](n_train, n_valid, rng)


def build(
    names: tuple[str, str], a: np.ndarray, v: np.ndarray, y: np.ndarray, classes: int,
    rows: dict[str, np.ndarray], rng: np.random.Generator, *, channels: bool = False,
) -> Pair:  # fmt: skip
    """A pair from arrays (N, …) and the rows of each part; `channels`: standardised by channel (N, C, T)."""
    axes = (0, 2) if channels else (0,)
    scaled = [standardised(x, x[rows["train"]], axes) for x in (a, v)]
    arrays = (*scaled, y.astype(np.int64), *(rng.standard_normal(x.shape, dtype=np.float32) for x in scaled))
    train, valid, test = (Part(*(torch.from_numpy(x[rows[part]]) for x in arrays)) for part in PARTS)
    return Pair(*names, classes, train, valid, test)


def standardised(x: np.ndarray, train: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean 0 and deviation 1 over the training part, float32; what never varies there stays 0."""
    mean, deviation = train.mean(axes, keepdims=True), train.std(axes, keepdims=True)
    return ((x - mean) / np.where(deviation > 1e-9, deviation, np.inf)).astype(np.float32)


def take(pools: dict[str, np.ndarray], sizes: dict[str, int], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows of each part drawn from its pool; all of a pool that is smaller, except to train on."""
    if sizes["train"] > len(pools["train"]):
        raise InvalidValue(f"n_train must be at most {len(pools['train'])} with these data; got {sizes['train']}.")
    return {part: rng.permutation(pools[part])[: sizes[part]] for part in PARTS}


def _views(a: str, v: str, n_train: int, n_valid: int, rng: np.random.Generator) -> Pair:
    """Two views of the same handwritten digits: 1,000 test, those that train are among the others."""
    source = handwritten_views.DATASET.load()
    order = rng.permutation(len(source.y))
    rest = order[TEST:]
    rows = {"train": rest[:n_train], "valid": rest[n_train:][:n_valid], "test": order[:TEST]}
    return build((a, v), source.views[a], source.views[v], source.y, len(source.classes), rows, rng)


def _watch(n_train: int, n_valid: int, rng: np.random.Generator) -> Pair:
    """Accelerometer (a) and gyroscope (v) in windows of 2 s; six persons train, one chooses, three test."""
    recordings = watch_exercises.DATASET.load()
    cut = watch_exercises.windows(recordings)
    person = rng.permutation(np.unique(cut.subject))
    groups = dict(zip(PARTS, (person[:6], person[6:7], person[7:]), strict=True))
    pools = {part: np.flatnonzero(np.isin(cut.subject, who)) for part, who in groups.items()}
    rows = take(pools, {"train": n_train, "valid": n_valid, "test": TEST}, rng)
    x = cut.x.transpose(0, 2, 1)
    a, v = x[:, watch_exercises.ACCELEROMETER], x[:, watch_exercises.GYROSCOPE]
    names = ("accelerometer", "gyroscope")
    return build(names, a, v, cut.y, len(recordings.classes), rows, rng, channels=True)


def _synthetic_av_digits(n_train: int, n_valid: int, rng: np.random.Generator) -> Pair:
    """Half synthetic: real written digits (a), each with a synthesised utterance of the same digit (v)."""
    speech, pictures = spoken.load(), load_pictures("mnist_5k")
    x = np.concatenate([pictures.train_x, pictures.test_x]).reshape(-1, 28 * 28).astype(np.float32)
    y = np.concatenate([pictures.train_y, pictures.test_y])
    test = np.arange(len(y)) >= len(pictures.train_y)
    order = rng.permutation(np.flatnonzero(~test))
    pools = {"train": order[: len(order) // 2], "valid": order[len(order) // 2 :], "test": np.flatnonzero(test)}
    rows = take(pools, {"train": n_train, "valid": n_valid, "test": TEST}, rng)
    voices = rng.permutation(np.unique(speech.voice))
    third = len(voices) // 3
    heard = np.zeros((len(y), speech.x.shape[1]), np.float32)
    for part, own in zip(PARTS, (voices[third:], voices[: third // 2], voices[third // 2 : third]), strict=True):
        for digit in range(10):
            of_digit = rows[part][y[rows[part]] == digit]
            among = np.flatnonzero((speech.y == digit) & np.isin(speech.voice, own))
            heard[of_digit] = speech.x[rng.choice(among, len(of_digit))]
    return build(("picture", "synthetic speech"), x, heard, y, 10, rows, rng)


LOADERS: dict[str, Callable[[int, int, np.random.Generator], Pair]] = {
    **{f"{a}_{v}": partial(_views, a, v) for a, v in (("pix", "fou"), ("fac", "zer"), ("kar", "mor"), ("pix", "mor"))},
    "watch": _watch,
    "synthetic_av_digits": _synthetic_av_digits,
}
