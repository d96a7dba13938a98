"""What a classifier does to each class: accuracies, groups of frequent and rare classes, confusion. NumPy alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.cards.classes import NAMES
from workbench.cards.errors import InvalidValue
from workbench.signals import emit

#: The field's borders (Liu et al., CVPR 2019): more than 100 training examples are many, fewer than 20 few.
MANY, FEW = 100, 20
GROUPS = ("many", "medium", "few")


class PerClass:
    """Emits what the class charts show: ``PerClass(names, counts).emit(predicted, truth)``.

    Signals (per cent): accuracy, balanced_accuracy, acc_per_class (C,), confusion (C, C), worst_class_acc,
    harmonic_mean_acc, geometric_mean_acc; with counts also acc_many, acc_medium, acc_few.

    Args:
        classes: their names in the order of the labels, or how many there are.
        counts: training examples of each class (C,). Classes are then listed from the most frequent to the rarest.
        borders: (many, few): classes with more than `many` examples, and with fewer than `few`. None: those of the
            field (100 and 20), or, where these leave a group empty, thirds of the classes.

    Raises `InvalidValue` for counts of another number than the classes, or fewer than two classes.
    """

    def __init__(
        self,
        classes: int | Sequence[str],
        counts: ArrayLike | None = None,
        *,
        borders: tuple[int, int] | None = None,
    ) -> None:
        named = [str(k) for k in range(classes)] if isinstance(classes, int) else [str(name) for name in classes]
        if len(named) < 2:
            raise InvalidValue(f"A classifier has at least two classes; got {len(named)}.")
        self.counts = None if counts is None else np.asarray(counts, np.int64)
        if self.counts is not None and (self.counts.shape != (len(named),) or (self.counts < 0).any()):
            raise InvalidValue(
                f"counts must be the number of training examples of each of the {len(named)} classes, 0 or more; "
                f"got {self.counts.tolist()}."
            )
        #: Classes in the order in which they are shown, (C,).
        self.order: NDArray[np.int64] = np.arange(len(named))
        self.names = tuple(named)
        self.groups: dict[str, NDArray[np.int64]] = {}
        if self.counts is not None:
            self.order = np.argsort(-self.counts, kind="stable")
            self.names = tuple(f"{named[k]} ({self.counts[k]})" for k in self.order)
            self.groups = grouped(self.counts, borders)
        self._told = False

    def measure(self, predicted: ArrayLike, truth: ArrayLike) -> dict[str, Any]:
        """The signals' values for labels (N,) and predictions: labels (N,), or scores (N, C) whose largest counts.

        A class without an example has the accuracy NaN and counts in no mean. Raises `InvalidValue` for labels outside
        0 … C-1, arrays of different lengths, or none.
        """
        table = confusion(predicted, truth, len(self.names))
        total = table.sum(1)
        with np.errstate(invalid="ignore"):
            share = 100 * table / total[:, None]
        each = np.diag(share)
        there = each[total > 0]
        found: dict[str, Any] = {
            "accuracy": 100 * np.diag(table).sum() / total.sum(),
            "balanced_accuracy": there.mean(),
            "acc_per_class": each[self.order],
            "confusion": share[np.ix_(self.order, self.order)],
            "worst_class_acc": there.min(),
            "harmonic_mean_acc": 0.0 if (there == 0).any() else len(there) / (1 / there).sum(),
            "geometric_mean_acc": 0.0 if (there == 0).any() else float(np.exp(np.log(there).mean())),
        }
        for name, members in self.groups.items():
            own = each[members]
            if (own := own[np.isfinite(own)]).size:
                found[f"acc_{name}"] = own.mean()
        return found

    def emit(self, predicted: ArrayLike, truth: ArrayLike) -> dict[str, Any]:
        """Record what `measure` finds at the present step, and return it. Tensors on any device are taken."""
        found = self.measure(_array(predicted), _array(truth))
        if not self._told:
            emit(NAMES, json.dumps(self.names))
            self._told = True
        for name, value in found.items():
            emit(name, value)
        return found


def confusion(predicted: ArrayLike, truth: ArrayLike, classes: int) -> NDArray[np.int64]:
    """(C, C) how many examples of class i (row) were taken for class j; arguments as for `PerClass.measure`."""
    guess, right = np.asarray(predicted), np.asarray(truth)
    if guess.ndim == 2 and guess.shape[1] == classes:
        guess = guess.argmax(1)
    if guess.ndim != 1 or guess.shape != right.shape or not guess.size:
        raise InvalidValue(
            f"Predictions must be labels (N,) or scores (N, {classes}) for N labels, N at least 1; got shapes "
            f"{np.shape(predicted)} and {right.shape}."
        )
    for what, values in (("A label", right), ("A prediction", guess)):
        if values.dtype.kind not in "iub" or values.min() < 0 or values.max() >= classes:
            raise InvalidValue(
                f"{what} lies outside the whole numbers 0 … {classes - 1}: they go from {values.min()} to "
                f"{values.max()}. Give PerClass all the classes."
            )
    cells = right.astype(np.int64) * classes + guess.astype(np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def grouped(counts: NDArray[np.int64], borders: tuple[int, int] | None = None) -> dict[str, NDArray[np.int64]]:
    """Members (indices of classes) of the groups many, medium and few; with `borders` a group may be empty."""
    many, few = borders or (MANY, FEW)
    if many < few:
        raise InvalidValue(f"The border of 'many' must not lie below that of 'few'; got {many} and {few}.")
    parts = (counts > many, (counts <= many) & (counts >= few), counts < few)
    if borders is None and not all(part.any() for part in parts) and len(counts) >= len(GROUPS):
        ranked = np.argsort(-counts, kind="stable")
        return dict(zip(GROUPS, np.array_split(ranked, len(GROUPS)), strict=True))
    return {name: np.flatnonzero(part) for name, part in zip(GROUPS, parts, strict=True)}


def _array(values: Any) -> NDArray[Any]:
    """A tensor without its graph, wherever it lies, or anything else, as an array."""
    return np.asarray(values.detach().cpu()) if hasattr(values, "detach") else np.asarray(values)


def named(text: str | None) -> tuple[str, ...]:
    """The class names that a run recorded; none if it recorded none."""
    try:
        names = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
