import importlib.util
from html import escape
from importlib.resources import files
from pathlib import Path

import pytest

import workbench
from tests.figures.recorded import CARD
from workbench.cards import card
from workbench.panels import Gallery, gallery
from workbench.panels.claims import kept

SCRIPT = Path(__file__).parents[2] / "scripts" / "gallery.py"


def script():
    """scripts/gallery.py as a module."""
    spec = importlib.util.spec_from_file_location("workbench_gallery", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


gallery_script = script()


def test_the_gallery_lists_every_experiment_with_phenomenon_remedy_paper_and_how_to_open_it():
    page = gallery()._repr_html_()
    for name in workbench.experiments():
        assert f"workbench.open(&quot;{name}&quot;)" in page or f'workbench.open("{name}")' in page
    assert len(gallery().cards) == len(workbench.experiments())


def test_a_reconstruction_is_called_one_and_text_is_escaped():
    import dataclasses

    page = Gallery([dataclasses.replace(CARD, title="<script>alert(1)</script>")])._repr_html_()
    assert "Reconstruction" in page
    assert "the wall&#x27;s height is a guess" in page
    assert "<script>" not in page
    assert "https://example.org/waves" in page


def test_the_gallery_can_be_narrowed_to_a_family_and_read_without_a_browser():
    assert gallery("no such family").cards == []
    assert repr(gallery("no such family")) == "No experiment is installed."
    assert "demo/waves" in repr(Gallery([CARD]))


RECORDED = [n for n in workbench.experiments() if gallery_script.journal(n).exists()]


@pytest.mark.parametrize("experiment", RECORDED)
def test_the_picture_is_what_the_recorded_runs_show(experiment):
    """`make gallery` after `make record`: the picture in the method's folder is drawn from the journal there is."""
    found = card(experiment)
    drawn = gallery_script.picture(found, gallery_script.journal(experiment))
    path = files(found.package).joinpath("gallery.svg")
    assert path.is_file(), "make gallery"
    kept = path.read_text(encoding="utf-8")
    assert kept == drawn, "make gallery"
    assert len(kept) < 16_000
    assert kept in Gallery([found])._repr_html_()


def test_each_claim_is_shown_with_its_verdict_and_an_untested_one_as_untested():
    found = card("certified/ibp")
    page = Gallery([found])._repr_html_()
    verdicts = {c["id"]: c["verdict"] for f in kept([(found, c) for c in found.claims]) for c in f["claims"]}
    for claim in found.claims:
        assert escape(f"{claim.restatement} – {verdicts.get(claim.id, 'not tested')}") in page
    assert "none declared" in Gallery([CARD])._repr_html_()
