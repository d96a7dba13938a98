"""Shoulder exercises seen by a smart watch: accelerometer and gyroscope, 50 Hz (Burns et al., arXiv 1802.01489)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.data import files
from workbench.data.dataset import Content, DataSet

_FILE = "data/watch_dataset.npy"
#: The first three columns of a recording are the accelerometer's, the last three the gyroscope's.
ACCELEROMETER, GYROSCOPE = slice(0, 3), slice(3, 6)
HERTZ = 50


@dataclass(frozen=True)
class Recordings(Content):
    """R recordings: `series[r]` (T_r, 6) float64, `y`, `subject` and `side` (1: right) (R,) int64."""

    series: tuple[NDArray[np.float64], ...]
    y: NDArray[np.int64]
    subject: NDArray[np.int64]
    side: NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Windows:
    """`x` (N, length, 6) float32, and of each window its `y` and `subject` (N,) int64."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    subject: NDArray[np.int64]


def windows(recordings: Recordings, length: int = 100, hop: int = 50) -> Windows:
    """Every recording cut into windows of `length` samples that begin `hop` samples apart; the rest is dropped."""
    x, y, subject = [], [], []
    for series, label, who in zip(recordings.series, recordings.y, recordings.subject, strict=True):
        starts = range(0, len(series) - length + 1, hop)
        x += [series[s : s + length].astype(np.float32) for s in starts]
        y += [label] * len(starts)
        subject += [who] * len(starts)
    return Windows(np.stack(x), np.array(y, np.int64), np.array(subject, np.int64))


def _read(folder: Path) -> Recordings:
    content = files.read_plain(folder / _FILE, DATASET.sha256[_FILE])
    table = np.load(io.BytesIO(content), allow_pickle=True).item()  # a pickle, but its SHA-256 is known
    return Recordings(
        name="watch_exercises",
        series=tuple(np.asarray(s, np.float64) for s in table["X"]),
        y=np.asarray(table["y"], np.int64),
        subject=np.asarray(table["subject"], np.int64),
        side=np.asarray(table["side"], np.int64),
        classes=tuple(str(c) for c in table["y_labels"]),
        channels=tuple(str(c) for c in table["X_labels"]),
    )


DATASET = DataSet(
    name="watch_exercises",
    title="Shoulder exercises on a smart watch",
    licence="BSD-3-Clause",
    source="https://github.com/dmbee/seglearn",
    read=_read,
    sha256={_FILE: "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"},
    package="seglearn",
    wheel="seglearn==1.2.5",
)
