"""Fashion-MNIST: 70,000 grey pictures of clothes, 28×28, ten classes (Xiao, Rasul, Vollgraf, arXiv 1708.07747)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.data import files
from workbench.data.dataset import Data, DataSet

CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def _read(folder: Path) -> Data:
    def array(name: str) -> NDArray[np.uint8]:
        return files.parse_idx(files.read_checked(folder / name, DATASET.sha256[name]), str(folder / name))

    return Data(
        name="fashion_mnist",
        train_x=array("train-images-idx3-ubyte.gz"),
        train_y=array("train-labels-idx1-ubyte.gz").astype(np.int64),
        test_x=array("t10k-images-idx3-ubyte.gz"),
        test_y=array("t10k-labels-idx1-ubyte.gz").astype(np.int64),
        classes=CLASSES,
    )


DATASET = DataSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    licence="MIT",
    source="https://github.com/zalandoresearch/fashion-mnist",
    read=_read,
    sha256={
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    folders=(Path("/usr/share/datasets/fashion-mnist"),),
    apt="dataset-fashion-mnist",
    url="https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
)
