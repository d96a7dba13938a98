import workbench
from tests.figures.recorded import CARD
from workbench.panels import Gallery, gallery


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
