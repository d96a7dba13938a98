"""A copy of training state in kept buffers, and that state as a file of tensors and plain data."""

from __future__ import annotations

import collections
import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.cards import StoreError

_PLAIN = (bool, int, float, complex, str, type(None))
_BYTES = "\0bytes"  # marks bytes, kept as text: the loader of plain data does not know empty ones
_ARRAY = "\0ndarray"  # marks a NumPy array, kept as the tensor of its numbers
_DTYPES = {
    np.dtype(name): getattr(torch, name)
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
                 "float16", "float32", "float64", "complex64", "complex128")
}  # fmt: skip


class Snapshots:
    """Copies trees of state; the tensors' copies live in buffers that are used again for the next.

    A fresh clone of 200 MB costs several times as long as a copy into memory that is already there. One snapshot at a
    time: the caller takes the next only when the last is written.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[Any, ...], torch.Tensor] = {}
        self.left_out: dict[str, str] = {}  # place in the state → type, of what cannot be kept as plain data

    def take(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of nested dicts, lists and tuples of tensors, arrays and plain values; other leaves are left out."""
        copy = {key: self._copy(value, (key,)) for key, value in tree.items()}
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # all transfers at once
        return copy

    def _copy(self, value: Any, at: tuple[Any, ...]) -> Any:
        if isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_meta:
            return self._buffer(value.detach(), at)
        if isinstance(value, np.ndarray) and value.dtype.newbyteorder("=") in _DTYPES:
            buffer = self._room(value.shape, _DTYPES[value.dtype.newbyteorder("=")], at)
            np.copyto(buffer.numpy(), value)
            return {_ARRAY: buffer}
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) is bytes:
            return {_BYTES: value.decode("latin-1")}
        if type(value) in _PLAIN:
            return value
        if isinstance(value, Mapping):
            plain = {k: self._copy(v, (*at, k)) for k, v in value.items() if self._keeps(k, (*at, k))}
            return collections.Counter(plain) if isinstance(value, collections.Counter) else plain
        if isinstance(value, list | tuple):
            items = [self._copy(v, (*at, i)) for i, v in enumerate(value)]
            return tuple(items) if isinstance(value, tuple) else items
        self.left_out[".".join(map(str, at))] = type(value).__name__
        return None

    def _keeps(self, key: Any, at: tuple[Any, ...]) -> bool:
        if isinstance(key, str | int | float | bool):
            return True
        self.left_out[".".join(map(str, at))] = f"a key of type {type(key).__name__}"
        return False

    def _buffer(self, source: torch.Tensor, at: tuple[Any, ...]) -> torch.Tensor:
        buffer = self._room(source.shape, source.dtype, at, pinned=source.is_cuda)
        buffer.copy_(source, non_blocking=source.is_cuda)
        return buffer

    def _room(
        self, shape: tuple[int, ...], dtype: torch.dtype, at: tuple[Any, ...], *, pinned: bool = False
    ) -> torch.Tensor:
        buffer = self._buffers.get(at)
        if buffer is None or buffer.shape != shape or buffer.dtype != dtype:
            buffer = self._buffers[at] = torch.empty(shape, dtype=dtype, pin_memory=pinned)
        return buffer


def write(tree: Mapping[str, Any], path: Path) -> tuple[int, str]:
    """Write a snapshot so that the file appears under its name only when it is whole and on disk; (bytes, SHA-256).

    Raises:
        OSError, RuntimeError: what the disk says; nothing is left behind.
    """
    draft = path.with_suffix(".part")
    try:
        with draft.open("wb") as file:
            torch.save(dict(tree), file)
            file.flush()
            os.fsync(file.fileno())
        size, digest = draft.stat().st_size, _sha256(draft)
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return size, digest


def read(path: Path, sha256: str) -> dict[str, Any]:
    """The state in a checkpoint's file, on the CPU; `StoreError` if it is not the file that was recorded.

    Only tensors and plain data are loaded, never code.
    """
    try:
        if _sha256(path) != sha256:
            raise StoreError(f"The checkpoint {path} is damaged: its SHA-256 is not the recorded one.")
        tree = torch.load(path, map_location="cpu", weights_only=True)
    except StoreError:
        raise
    except pickle.UnpicklingError as error:
        raise StoreError(f"The checkpoint {path} is not loaded: it holds more than tensors and plain data.") from error
    except Exception as error:
        raise StoreError(f"The checkpoint {path} cannot be read: {error}.") from error
    return _with_arrays(tree)  # type: ignore[no-any-return]


def _with_arrays(value: Any) -> Any:
    if type(value) is dict:
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy()
        if value.keys() == {_BYTES}:
            return value[_BYTES].encode("latin-1")
        return {k: _with_arrays(v) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_with_arrays(v) for v in value)
    return value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
