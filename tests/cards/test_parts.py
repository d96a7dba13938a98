"""Interchangeable parts: found by their files and by entry points, imported only when they are asked for."""

import sys
import types

import pytest

from workbench.cards import UnknownName, parts


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two parts and a helper; importing a part is an error, so that one sees who does."""
    folder = tmp_path / "norms_of_a_test"
    folder.mkdir()
    for name in ("__init__", "beta", "alpha", "_helper"):
        (folder / f"{name}.py").write_text("" if name == "__init__" else "raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    parts._found.cache_clear()
    yield folder.name
    parts._found.cache_clear()


def test_names_come_from_files_without_importing_one(package):
    assert parts.names(package) == ("alpha", "beta")
    assert parts.names(package, first="beta") == ("beta", "alpha")


def test_a_part_of_ones_own_is_found_under_the_entry_point_of_the_packages_name(package, monkeypatch):
    class Point:
        name, value = "mine", "my_part"

    mine = types.ModuleType("my_part")
    monkeypatch.setitem(sys.modules, "my_part", mine)
    monkeypatch.setattr(parts, "entry_points", lambda group: [Point] if group == package else [])
    assert parts.names(package) == ("alpha", "beta", "mine")
    assert parts.part(package, "mine", what="norm layer") is mine
    with pytest.raises(RuntimeError, match="imported"):
        parts.part(package, "alpha", what="norm layer")


def test_an_unknown_part_suggests_the_nearest_and_says_what_it_is(package):
    with pytest.raises(UnknownName, match=r"norm layer 'alpa'.*alpha"):
        parts.part(package, "alpa", what="norm layer")
