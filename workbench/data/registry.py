"""The data sets there are: every module of `workbench.data.sets` that defines `DATASET`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import workbench.data.sets
from workbench.cards.errors import InvalidValue, UnknownName
from workbench.data.dataset import Data, DataSet


@cache
def datasets() -> tuple[DataSet[Any], ...]:
    """The description of every data set, by name."""
    package = workbench.data.sets
    modules = (import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__))
    return tuple(sorted((m.DATASET for m in modules), key=lambda dataset: dataset.name))


def dataset(name: str) -> DataSet[Any]:
    """The description of the data set `name`. Raises `UnknownName`, which suggests the nearest name."""
    for candidate in datasets():
        if candidate.name == name:
            return candidate
    raise UnknownName("data set", name, [candidate.name for candidate in datasets()])


def list_sets() -> list[dict[str, str]]:
    """A table of all data sets: name, title, licence, source, and where it is or the command that brings it."""
    return [
        {
            "name": d.name,
            "title": d.title,
            "licence": d.licence,
            "source": d.source,
            "here": str(d.folder()) if d.present else "",
            "get": "" if d.present else d.commands[0],
        }
        for d in datasets()
    ]


def load(name: str) -> Data:
    """The pictures of the data set `name`, checked against its SHA-256.

    What is no set of pictures (ratings, recordings, tables) is had from its description, `dataset(name).load()`.
    Raises `UnknownName`; `MissingData` with the commands that bring it; `InvalidValue` if a file is damaged or it is no
    set of pictures.
    """
    content = dataset(name).load()
    if not isinstance(content, Data):
        raise InvalidValue(
            f"'{name}' holds no labelled pictures but {type(content).__name__}; "
            f"use workbench.data.dataset('{name}').load()."
        )
    return content


def get(name: str, report: Callable[[str], None] | None = None) -> Path:
    """Bring the data set `name` onto this machine if it is not there yet; returns the folder it lies in.

    `report` receives one line a fetched file.
    Raises `UnknownName`, and `MissingData` with what to do when it cannot be fetched.
    """
    return dataset(name).get(report)
