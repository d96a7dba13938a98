"""The frames that the TypeScript tests read are the frames that this code sends."""

import base64
import json

import numpy as np
import pytest

from tests.figures.make_fixtures import FOLDER, messages
from workbench.figures.chartdata import decode
from workbench.figures.plotly_ import figure

NAMES = ["frame_failed", "frame_full", "frame_light", "frame_no_runs", "frame_zoomed", "spec"]


def load(name):
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return data["head"], [base64.b64decode(b) for b in data["buffers"]]


def shape(value):
    """The form of a message: keys and kinds, lists by their first element."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [shape(v) for v in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.fixture
def fresh(tmp_path):
    return messages(tmp_path)


def test_the_stored_frames_have_the_form_and_the_numbers_that_are_sent_today(fresh):
    assert sorted(fresh) == NAMES
    for name, (head, buffers) in fresh.items():
        stored, stored_buffers = load(name)
        assert shape(json.loads(json.dumps(head))) == shape(stored), name
        for new, old in zip(buffers, stored_buffers, strict=True):
            assert np.frombuffer(new, "<f4") == pytest.approx(np.frombuffer(old, "<f4"), nan_ok=True, rel=1e-5)


@pytest.mark.parametrize("chart", range(17))
def test_the_live_chart_and_the_plotly_figure_are_drawn_from_the_same_frame(chart):
    head, [buffer] = load("frame_full")
    data = decode(head["charts"][chart], buffer)
    fig = figure(data)
    assert data.title in fig.layout.title.text
    lines = [s for s in head["charts"][chart].get("series", []) if "mean" in s]
    for line in lines:
        drawn = [t for t in fig.data if t.name == line["label"]]
        assert drawn, line["key"]
    for line in lines[:1]:
        offset, length = line["mean"]
        sent = np.frombuffer(buffer, "<f4")[offset : offset + length]
        drawn = next(t for t in fig.data if t.name == line["label"])
        assert np.nansum(np.asarray(drawn.y, dtype=float)) == pytest.approx(
            float(sent[np.isfinite(sent)].sum()), rel=1e-4
        )
