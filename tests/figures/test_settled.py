import numpy as np
import pytest

from tests.figures.recorded import record
from workbench.figures import grid
from workbench.figures.settled import columns
from workbench.journal import Reader


def read(reader, name, bounds):
    reader.refresh()
    return columns(reader, name, bounds)


@pytest.mark.parametrize("name", ["loss", "width", "err"])
@pytest.mark.parametrize("width", [40, 977, 5000])
def test_buckets_grown_step_by_step_equal_those_of_a_fresh_reader(store, name, width):
    recording = record(store, steps=3000)
    growing = Reader(recording.run.dir)
    for count in (1, 3, 50, 400, 46, 500):
        recording.go(count, nan_at=(2, 60, 777))
        bounds = grid.edges(0, 3000, width, recording.step - 1)
        grown = read(growing, name, bounds)
        fresh = read(Reader(recording.run.dir), name, bounds)
        for field in ("count", "mean", "low", "high", "nonfinite"):
            assert getattr(grown, field) == pytest.approx(getattr(fresh, field), nan_ok=True), field
        assert set(fresh.marks) <= set(grown.marks)
        assert grown.vector is fresh.vector
    recording.end()


def test_full_buckets_are_not_read_again(store, monkeypatch):
    recording = record(store, steps=3000).go(1000)
    reader = Reader(recording.run.dir)
    read(reader, "loss", grid.edges(0, 3000, 300, 999))
    asked = []
    whole = Reader.buckets
    monkeypatch.setattr(Reader, "buckets", lambda self, n, e: asked.append(len(e) - 1) or whole(self, n, e))
    read(reader, "loss", grid.edges(0, 3000, 300, 999))
    assert asked == []
    recording.go(20)
    read(reader, "loss", grid.edges(0, 3000, 300, 1019))
    assert asked == [3]  # the one that was being filled, and two new ones
    recording.end()


def test_a_new_attempt_is_read_afresh(store):
    recording = record(store, steps=3000).go(1000)
    reader = Reader(recording.run.dir)
    bounds = grid.edges(0, 3000, 300, 999)
    before = read(reader, "loss", bounds)
    recording.writer.set_meta("attempt", 1)
    recording.writer.flush(full=True)
    assert read(reader, "loss", bounds) is not before
    recording.end()


def test_a_signal_that_pauses_leaves_its_newest_buckets_empty(store):
    recording = record(store, steps=3000).go(1)
    reader = Reader(recording.run.dir)
    read(reader, "err", grid.edges(0, 3000, 3000, 0))
    recording.go(10)
    found = read(reader, "err", grid.edges(0, 3000, 3000, 10))
    assert np.isnan(found.mean[1:]).all()
    assert found.count.sum() == 1
    recording.end()
