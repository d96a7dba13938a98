"""Digits: 1,797 handwritten digits, 8×8 with 17 grey levels, that come inside scikit-learn (UCI optdigits)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.data.dataset import Data, DataSet


def _read(_folder: Path) -> Data:
    """Every fifth picture is a test picture, so that each writer and each class is in both parts."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.images.astype(np.uint8), digits.target.astype(np.int64)
    test = np.arange(len(x)) % 5 == 4
    return Data(
        name="digits",
        train_x=x[~test],
        train_y=y[~test],
        test_x=x[test],
        test_y=y[test],
        classes=tuple("0123456789"),
        levels=16,
    )


DATASET = DataSet(
    name="digits",
    title="Digits",
    licence="CC BY 4.0",
    source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    read=_read,
    package="sklearn",
    extra="data",
)
