"""Animal-MNIST: 10,000 grey silhouettes of animals, 28×28, 1,000 a class (Mohammadi, PyPI `animal-mnist`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.data import files
from workbench.data.dataset import Data, DataSet

_IMAGES = "data/Animal_MNIST/animal_data_version_3.gz"
_LABELS = "data/Animal_MNIST/animal_label_version_3.gz"
#: The files are pickles of one array each. Their content is known by its SHA-256, and so is where the numbers begin:
#: nothing is unpickled, and the package, which imports tensorflow, is not imported.
_IMAGES_AT, _LABELS_AT = 150, 146
CLASSES = ("Bear", "Bird", "Cat", "Cow", "Dog", "Elephant", "Giraffe", "Horse", "Sheep", "Zebra")


def _read(folder: Path) -> Data:
    """Every fifth picture of each class is a test picture: 8,000 and 2,000."""
    images = files.read_checked(folder / _IMAGES, DATASET.sha256[_IMAGES])
    labels = files.read_checked(folder / _LABELS, DATASET.sha256[_LABELS])
    x = np.frombuffer(images, np.uint8, 10_000 * 28 * 28, _IMAGES_AT).reshape(-1, 28, 28)
    y = np.frombuffer(labels, "<i8", 10_000, _LABELS_AT).astype(np.int64)
    test = np.arange(len(x)) % 5 == 4
    return Data(
        name="animal_mnist",
        train_x=x[~test],
        train_y=y[~test],
        test_x=x[test],
        test_y=y[test],
        classes=CLASSES,
    )


DATASET = DataSet(
    name="animal_mnist",
    title="Animal silhouettes",
    licence="MIT",
    source="https://pypi.org/project/animal-mnist/",
    read=_read,
    sha256={
        _IMAGES: "0a13908291891bf5b97b18427cf0eceedcb720959826cc85f7e06dc89e5eaf77",
        _LABELS: "3d826227c39b7dba09abb8273cf07928443fec2c56b6396b4872741b7b332f93",
    },
    package="animal_mnist",
    wheel="animal-mnist==0.4",
)
