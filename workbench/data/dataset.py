"""What a data set is: its description (`DataSet`), its content (`Content`, for pictures `Data`), pixels as floats."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue, MissingData
from workbench.data import files


@dataclass(frozen=True)
class Content:
    """A data set in memory; `licence`, `source` and `sha256` (by file) are its description's."""

    name: str
    licence: str = field(default="", kw_only=True)
    source: str = field(default="", kw_only=True)
    sha256: Mapping[str, str] = field(default_factory=dict, kw_only=True)


#: What the `load` of a description gives.
Read = TypeVar("Read", bound=Content)


@dataclass(frozen=True)
class Data(Content):
    """A labelled image set in memory: raw grey levels (or colours), never scaled.

    `train_x` (N, H, W) or, in colour, (N, H, W, 3), uint8 in 0 … `levels`, `train_y` (N,) int64 in 0 … C−1, `test_x`
    and `test_y` alike, `classes` the C class names. Raises `InvalidValue` if the arrays break any of that.
    """

    train_x: NDArray[np.uint8]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.int64]
    classes: tuple[str, ...]
    levels: int = 255

    def __post_init__(self) -> None:
        for part, x, y in (("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            where = f"The {part} part of '{self.name}'"
            if x.dtype != np.uint8 or (x.ndim != 3 and x.shape[3:] != (3,)):
                raise InvalidValue(
                    f"{where} must be uint8 images of shape (N, H, W) or (N, H, W, 3), not {x.dtype} {x.shape}."
                )
            if y.shape != x.shape[:1]:
                raise InvalidValue(f"{where} has {len(x)} images but labels of shape {y.shape}.")
            if x.size and int(x.max()) > self.levels:
                raise InvalidValue(f"{where} holds the grey level {x.max()}, outside 0 … {self.levels}.")
            if y.size and not 0 <= int(y.min()) <= int(y.max()) < len(self.classes):
                raise InvalidValue(
                    f"{where} holds the labels {y.min()} … {y.max()}, outside 0 … {len(self.classes) - 1}."
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of an image, in pixels."""
        return self.train_x.shape[1], self.train_x.shape[2]

    @property
    def channels(self) -> int:
        """1 for grey pictures, 3 for colour."""
        return 1 if self.train_x.ndim == 3 else 3


def as_floats(images: NDArray[np.uint8], levels: int = 255) -> NDArray[np.float32]:
    """Grey levels as float32 in [0, 1] with a channel axis: (N, H, W) → (N, 1, H, W), (N, H, W, 3) → (N, 3, H, W)."""
    scaled = images.astype(np.float32) / np.float32(levels)
    return scaled[:, np.newaxis] if scaled.ndim == 3 else np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class DataSet(Generic[Read]):
    """A data set's description: what it is, under which licence, and how to bring it.

    `read` builds the content from the folder that holds its files (for a set inside a package: the package's).
    `sha256` maps each file to the SHA-256 of its *uncompressed* content, since distributions repack archives.
    `folders` are searched after the user's own data folder. `package` is the importable package that holds the files,
    `extra` the extra of this distribution that brings it. Where only the package's files are wanted, and not what it
    depends on or installs besides, `wheel` says which release to unpack them from. `apt` is the Debian package, `url`
    the official download of the files; `by_hand` (with {folder}) says what to put where, for a set that its makers'
    terms or its size leave to the user.
    """

    name: str
    title: str
    licence: str
    source: str
    read: Callable[[Path], Read]
    sha256: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    package: str = ""
    extra: str = ""
    wheel: str = ""
    apt: str = ""
    url: str = ""
    by_hand: str = ""

    @property
    def own_folder(self) -> Path:
        """Where `get` puts the files: `$WORKBENCH_DATA/<name>`, else `~/.cache/workbench/data/<name>`."""
        return files.data_home() / self.name

    def folder(self) -> Path | None:
        """Where it lies: the first folder that holds every file, or its package's; None if it is not here.

        Contents are checked by `load`, not here.
        """
        installed = find_spec(self.package) if self.package else None
        packaged = (Path(installed.origin).parent,) if installed is not None and installed.origin else ()
        candidates = packaged if self.package and not self.wheel else (self.own_folder, *self.folders, *packaged)
        return next((f for f in candidates if all((f / name).is_file() for name in self.sha256)), None)

    @property
    def present(self) -> bool:
        """Whether `load` will find it on this machine."""
        return self.folder() is not None

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that bring it, best first."""
        commands = []
        if self.extra:
            commands.append(f"pip install 'balance-workbench[{self.extra}]'")
        if self.apt:
            commands.append(("" if os.geteuid() == 0 else "sudo ") + f"apt-get install {self.apt}")
        if self.url or self.wheel:
            commands.append(f"workbench data get {self.name}")
        if self.by_hand:
            commands.append(self.by_hand.format(folder=self.own_folder))
        return tuple(commands)

    def _missing(self) -> MissingData:
        return MissingData(f"{self.title} is not on this machine. To bring it: {' or '.join(self.commands)}.")

    def load(self) -> Read:
        """The content. Raises `MissingData` with the commands that bring it, `InvalidValue` for a damaged file."""
        folder = self.folder()
        if folder is None:
            raise self._missing()
        return replace(self.read(folder), licence=self.licence, source=self.source, sha256=self.sha256)

    def get(self, report: Callable[[str], None] | None = None) -> Path:
        """Download what is missing into `own_folder`, each file kept only if its SHA-256 is right.

        `$WORKBENCH_<NAME>_URL` replaces the official address, for a mirror; a wheel comes from where pip looks. Raises
        `MissingData`.
        """
        if (folder := self.folder()) is not None:
            return folder
        if self.wheel:
            files.unpack_wheel(self.wheel, self.package, self.own_folder, self.sha256, self.title)
            if report is not None:
                report(f"{self.own_folder} ({self.wheel}, SHA-256 is right)")
            return self.own_folder
        if not self.url:
            raise self._missing()
        base = os.environ.get(f"WORKBENCH_{self.name.upper()}_URL", self.url)
        for name, digest in self.sha256.items():
            target = self.own_folder / name
            if not target.is_file():
                files.download(f"{base.rstrip('/')}/{name}", target, digest, self.title)
                if report is not None:
                    report(f"{target} ({target.stat().st_size / 1e6:.1f} MB, SHA-256 is right)")
        return self.own_folder
