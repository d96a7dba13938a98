"""CIFAR-10: 60,000 colour pictures, 32×32, 10 classes (Krizhevsky 2009). The user brings the archive."""

from __future__ import annotations

from pathlib import Path

from workbench.data import cifar
from workbench.data.dataset import Data, DataSet

_FILE = "cifar-10-binary.tar.gz"


def _read(folder: Path) -> Data:
    return cifar.read_archive(folder / _FILE, "cifar10", DATASET.sha256[_FILE], labels=1, words="batches.meta.txt")


DATASET = DataSet(
    name="cifar10",
    title="CIFAR-10",
    licence="none stated by its makers; cite Krizhevsky 2009",
    source=cifar.PAGE,
    read=_read,
    sha256={_FILE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},  # of the archive
    by_hand=f"put {_FILE} from {cifar.PAGE} into {{folder}}",
)
