"""Experiments are found by walking; an unknown one is answered with the nearest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from workbench.cards import UnknownName, card, experiments


def test_ids_are_paths():
    assert "certified/ibp" in experiments()
    found = card("certified/ibp")
    assert (found.id, found.family, found.package) == ("certified/ibp", "certified", "workbench.methods.certified.ibp")


def test_an_unknown_experiment_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'certified/ibp'"):
        card("certified/ipb")


def test_somebody_elses_package_adds_methods_by_its_entry_point(tmp_path):
    method = tmp_path / "theirs" / "family" / "method"
    method.mkdir(parents=True)
    for folder in (method.parents[1], method.parent, method):
        (folder / "__init__.py").write_text("")
    (method / "card.py").write_text(
        "from workbench.cards import Card, Config, Paper\n"
        "CARD = Card(title='T', paper=Paper('P', 'V', 2026), phenomenon='', remedy='', config=Config, signals=(),\n"
        "            views=(), arms=(), presets=())\n"
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.methods]\ntheirs = theirs\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from workbench.cards import card, experiments\n"
        "assert 'family/method' in experiments() and 'certified/ibp' in experiments()\n"
        "print(card('family/method').title)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "T\n", done.stderr
