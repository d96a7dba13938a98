"""Notes beside a run."""

from workbench.journal import Notes


def test_notes_are_kept_replaced_and_removed(rundir):
    notes = Notes(rundir)
    assert notes.get("star", default=False) is False
    assert not rundir.notes.exists()
    notes.set("star", value=True)
    notes.set("mirror", {"run": "ab12", "mark": 7})
    Notes(rundir).set("mirror", {"run": "ab12", "mark": 9})
    assert notes.all() == {"star": True, "mirror": {"run": "ab12", "mark": 9}}
    notes.set("star", None)
    assert notes.get("star") is None
