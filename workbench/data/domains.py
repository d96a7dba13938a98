"""Text by domain, read from files that installed packages carry: nothing is downloaded and nothing is copied.

The text differs between versions of Python, torch and scikit-learn, so a result on it names its SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue, MissingData, UnknownName

CHUNK = 4096  # bytes; every tenth is for validation, since a file's tail is another kind of text than its head
SIZE = 700_000  # bytes of a domain, at most
_TENTH = 10
_FORTUNES = (Path("/usr/share/games/fortunes/de"), Path("/usr/share/games/fortunes/it"))


@dataclass(frozen=True)
class Domain:
    """One kind of text as bytes: `train` and `valid`, both (n,) uint8; `sha256` of all of it, before the split."""

    name: str
    source: str
    sha256: str
    train: NDArray[np.uint8]
    valid: NDArray[np.uint8]

    @property
    def text(self) -> str:
        """In words: name, sizes, source and the SHA-256."""
        sizes = f"{len(self.train):,} + {len(self.valid):,} bytes"
        return f"{self.name}: {sizes} of {self.source}, SHA-256 {self.sha256}"


@dataclass(frozen=True)
class _Kind:
    """Where a domain comes from: what it is, how to get it, and its pieces of bytes (none: it is not here)."""

    name: str
    source: str
    get: str
    pieces: Callable[[], Iterable[bytes]]


def _python() -> Iterable[bytes]:
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"test", "tests", "encodings", "pydoc_data", "site-packages", "dist-packages", "idlelib", "lib2to3"}
    files = (f for f in root.rglob("*.py") if not left_out & set(f.relative_to(root).parts))
    return _shuffled(root, files)


def _cpp() -> Iterable[bytes]:
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return ()
    root = Path(spec.origin).parent / "include"
    return _shuffled(root, (f for part in ("c10", "torch/csrc") for f in (root / part).rglob("*.h")))


def _english() -> Iterable[bytes]:
    if find_spec("pydoc_data") is None:
        return ()
    from pydoc_data.topics import topics

    return [topics[name].encode() for name in sorted(topics)]


def _tables() -> Iterable[bytes]:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        return ()
    folder = Path(spec.origin).parent / "datasets" / "data"
    names = ("digits.csv.gz", "breast_cancer.csv", "wine_data.csv")
    found = [folder / name for name in names if (folder / name).is_file()]
    return [gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes() for f in found]


def _fortunes(folder: Path) -> Iterable[bytes]:
    return _shuffled(folder, (f for f in folder.glob("*") if f.is_file() and not f.suffix))


def _shuffled(root: Path, files: Iterable[Path]) -> Iterable[bytes]:
    """The files' contents, in an order that is the same on every machine and mixes folders."""
    ordered = sorted(files, key=lambda f: f.relative_to(root).as_posix())
    return (ordered[i].read_bytes() for i in np.random.default_rng(0).permutation(len(ordered)))


KINDS = (
    _Kind("python", "the standard library's modules", "comes with Python", _python),
    _Kind("cpp", "the C++ headers in the torch package", "pip install 'balance-workbench[experts]'", _cpp),
    _Kind("english", "Python's language reference (pydoc_data.topics)", "comes with Python", _english),
    _Kind("tables", "the tables in the scikit-learn package", "pip install 'balance-workbench[experts]'", _tables),
    _Kind("german", "German sayings (Debian's fortunes-de)", "apt-get install fortunes-de",
          lambda: _fortunes(_FORTUNES[0])),
    _Kind("italian", "Italian sayings (Debian's fortunes-it)", "apt-get install fortunes-it",
          lambda: _fortunes(_FORTUNES[1])),
)  # fmt: skip
USUAL = ("python", "cpp", "english", "tables")  # wherever the package's own dependencies are installed


def load_domains(names: Sequence[str] = USUAL, size: int = SIZE) -> tuple[Domain, ...]:
    """The domains of these names, each of at most `size` bytes, split into nine parts to train on and one to test.

    Raises:
        UnknownName: there is no such domain.
        MissingData: its text is not on this machine; says what brings it.
        InvalidValue: fewer than two domains, or a size that leaves a domain without validation text.
    """
    if len(set(names)) < 2:
        raise InvalidValue(f"At least two different domains are needed; got {', '.join(names) or 'none'}.")
    if size < _TENTH * CHUNK:
        raise InvalidValue(f"size must be at least {_TENTH * CHUNK} bytes, ten chunks of a domain; got {size}.")
    return tuple(_load(name, size) for name in names)


@cache
def _load(name: str, size: int) -> Domain:
    kind = next((k for k in KINDS if k.name == name), None)
    if kind is None:
        raise UnknownName("domain", name, [k.name for k in KINDS])
    text = _up_to(kind.pieces(), size)
    if len(text) < _TENTH * CHUNK:
        raise MissingData(f"The text domain {name} ({kind.source}) is not on this machine. To bring it: {kind.get}.")
    chunks = [text[i : i + CHUNK] for i in range(0, len(text), CHUNK)]
    parts = (
        b"".join(c for i, c in enumerate(chunks) if (i % _TENTH == _TENTH - 1) == valid) for valid in (False, True)
    )
    train, valid = (np.frombuffer(part, np.uint8) for part in parts)
    return Domain(name, kind.source, hashlib.sha256(text).hexdigest(), train, valid)


def _up_to(pieces: Iterable[bytes], size: int) -> bytes:
    taken: list[bytes] = []
    left = size
    for piece in pieces:
        taken.append(piece[:left])
        left -= len(taken[-1])
        if left <= 0:
            break
    return b"".join(taken)


def described(domains: Iterable[Domain]) -> str:
    """What was found, a line a domain: for a run's record."""
    return "\n".join(d.text for d in domains)
