"""CIFAR-100: 60,000 colour pictures, 32×32, 100 classes (Krizhevsky 2009). The user brings the archive."""

from __future__ import annotations

from pathlib import Path

from workbench.data import cifar
from workbench.data.dataset import Data, DataSet

_FILE = "cifar-100-binary.tar.gz"


def _read(folder: Path) -> Data:
    return cifar.read_archive(folder / _FILE, "cifar100", DATASET.sha256[_FILE], labels=2, words="fine_label_names.txt")


DATASET = DataSet(
    name="cifar100",
    title="CIFAR-100",
    licence="none stated by its makers; cite Krizhevsky 2009",
    source=cifar.PAGE,
    read=_read,
    sha256={_FILE: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"},  # of the archive
    by_hand=f"put {_FILE} from {cifar.PAGE} into {{folder}}",
)
