"""CIFAR-10 and CIFAR-100 from the binary archives of their makers (Krizhevsky 2009), which the user brings."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
from workbench.data.dataset import Data

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"


def read_archive(archive: Path, name: str, sha256: str, *, labels: int, words: str) -> Data:
    """The data set `name` in a `.tar.gz`: `labels` bytes before each picture, class names in the file `words`.

    Raises `InvalidValue` if the archive is not the one with this SHA-256 (of the archive as it is downloaded).
    """
    content = archive.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidValue(f"{archive} is not the official archive: its SHA-256 is not {sha256[:12]}…. Fetch it again.")
    train: list[bytes] = []
    test, classes = b"", ""
    with tarfile.open(archive) as files:
        for member in sorted(files.getmembers(), key=lambda m: m.name):
            part = files.extractfile(member)
            base = Path(member.name).name
            if part is None:
                continue
            if base == words:
                classes = part.read().decode()
            elif base.startswith("test"):
                test = part.read()
            elif base.endswith(".bin"):
                train.append(part.read())
    train_x, train_y = records(b"".join(train), labels)
    test_x, test_y = records(test, labels)
    return Data(name, train_x, train_y, test_x, test_y, classes=tuple(classes.split()))


def records(content: bytes, labels: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures (N, 32, 32, 3) and labels (N,) of records of `labels` bytes and 3 × 32 × 32 bytes, plane after plane.

    The last label byte counts: CIFAR-100 has the coarse class before the fine one.
    """
    table = np.frombuffer(content, np.uint8).reshape(-1, labels + 3072)
    images = table[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), table[:, labels - 1].astype(np.int64)
