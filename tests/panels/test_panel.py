import subprocess
import sys
import time

import pytest

from tests.figures.recorded import CARD, record
from workbench.cards import MissingData, NotAllowed, UnknownName
from workbench.figures.feed import Feed
from workbench.figures.shared import POOL
from workbench.figures.source import StoreRuns
from workbench.journal import CommandRecord, Inbox
from workbench.panels import panel as module
from workbench.panels.panel import Panel
from workbench.runs import Store


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A stand-in for the built app, whose own tests drive it in a browser: here only Python's side is tested."""
    path = tmp_path / "panel.js"
    path.write_text("export default { render() {} };")
    monkeypatch.setattr(module, "SCRIPT", path)


@pytest.fixture
def make(store, script):
    made = []

    def build() -> Panel:
        made.append(Panel(Feed(StoreRuns(CARD, Store(store)), CARD)))
        return made[-1]

    yield build
    for panel in made:
        panel.close()


def until(condition, patience=20.0):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_panel_without_its_javascript_says_how_to_build_it(store, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SCRIPT", tmp_path / "nowhere.js")
    with pytest.raises(MissingData, match=r"nowhere.js is missing.*scripts/build_panel.py"):
        Panel(Feed(StoreRuns(CARD, Store(store)), CARD))


def test_traits_hold_ids_and_no_path(make, store):
    recording = record(store).go(50)
    panel = make()
    state = {k: v for k, v in panel.get_state().items() if k != "_esm"}
    assert state["experiment"] == CARD.id
    assert state["run_ids"] == [recording.run.id]
    assert str(store) not in repr(state)
    recording.end()


def test_messages_of_a_view_are_answered_through_the_widget(make, store):
    recording = record(store).go(50)
    panel, heard = make(), []
    panel.send = lambda content, buffers=None: heard.append((content, buffers))
    panel._handle_custom_msg({"type": "hello", "view": "v"}, [])
    until(lambda: any(c["type"] == "frame" for c, _ in heard))
    assert heard[0][0]["type"] == "spec"
    frame, buffers = next((c, b) for c, b in heard if c["type"] == "frame")
    assert frame["view"] == "v"
    assert len(buffers) == 1
    recording.end()


def test_set_steers_every_run_and_speaks_the_user_s_mistakes(make, store):
    pair = record(store, "broken").go(50), record(store, "mended").go(50)
    panel = make()
    assert set(panel.set(epsilon=0.2)) == {r.run.id for r in pair}
    assert [r.id for r in panel.runs] == [r.run.id for r in pair]
    assert panel.run.id == pair[0].run.id
    with pytest.raises(UnknownName, match="Did you mean 'epsilon'"):
        panel.set(epsilom=0.2)
    panel.stop()
    assert [c.kind for c in Inbox(pair[1].run.dir).after(0)] == ["set", "stop"]
    for recording in pair:
        recording.end()


def test_forking_from_python_says_what_cannot_be_forked_and_shows_the_runs_as_before(make, store):
    recording = record(store).go(50)
    panel = make()
    with pytest.raises(UnknownName, match="Did you mean 'epsilon'"):
        panel.fork(20, epsilom=0.2)
    with pytest.raises(NotAllowed, match="only come to step 50"):
        panel.fork(90, {"epsilon": 0.2}, run=recording.run)
    with pytest.raises(NotAllowed, match="pause it before stepping back"):
        panel.back(5)
    assert [r.id for r in panel.runs] == [recording.run.id]
    recording.end()


def test_what_a_page_answers_goes_where_it_says_though_another_page_was_spoken_to_last(make, store):
    panel = make()
    panel.comm._reply_subshell_id = "of a page that was reloaded"  # as ipykernel notes it with each message it sends
    panel.send({"type": "frame"}, [])
    assert not hasattr(panel.comm, "_reply_subshell_id")


def test_a_figure_is_plotly_s_and_reading_it_leaves_nothing_open(make, store):
    recording = record(store).go(50)
    fig = make().figure("loss")
    assert fig.data[0].name == "loss"
    assert len(POOL) == 0
    recording.end()


def test_a_chart_is_a_widget_of_its_own(make, store):
    panel = make()
    chart = panel.chart("loss")
    assert (chart.mode, chart.chart_id, chart.experiment) == ("chart", "loss", CARD.id)
    assert repr(chart) == "<Chart loss of demo/waves>"
    with pytest.raises(UnknownName, match="Did you mean 'loss'"):
        panel.chart("lost")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("epsilon", "FloatSlider"),
        ("ramp", "IntSlider"),
        ("tight", "Checkbox"),
        ("init", "Dropdown"),
        ("note", "Text"),
        ("steps", "BoundedIntText"),
        ("optimizer.lr", "FloatLogSlider"),
    ],
)
def test_each_control_is_an_ordinary_widget_of_a_kind_that_suits_it(make, store, name, kind):
    widget = make().controls[name]
    assert type(widget).__name__ == kind
    assert widget.value == pytest.approx(CARD.controls[name].default)


def test_moving_a_control_sends_a_command_and_it_follows_what_was_applied(make, store):
    recording = record(store).go(50)
    panel = make()
    slider = panel.controls["epsilon"]
    assert panel.controls["epsilon"] is slider
    slider.value = 0.2
    [command] = Inbox(recording.run.dir).after(0)
    assert command.payload == {"values": {"epsilon": 0.2}}
    recording.writer.record_commands(
        [CommandRecord.of(command, "applied", step=51, old={"epsilon": 0.1}, new={"epsilon": 0.3})]
    )
    until(lambda: slider.value == 0.3)
    assert len(Inbox(recording.run.dir).after(0)) == 1  # following is not asking
    recording.end()


def test_a_refused_move_jumps_back_and_says_why(make, store):
    recording = record(store).go(50)
    panel = make()
    slider = panel.controls["epsilon"]
    recording.end()
    slider.value = 0.2
    assert slider.value == 0.1
    assert "takes no commands" in slider.tooltip


def test_a_panel_is_described_in_a_line(make, store):
    assert repr(make()) == "<Panel demo/waves: no run yet>"


def test_closing_lets_go_of_the_runs(make, store):
    recording = record(store).go(50)
    panel = make()
    panel._handle_custom_msg({"type": "hello", "view": "v"}, [])
    until(lambda: len(POOL) == 1)
    panel.close()
    assert len(POOL) == 0
    recording.end()


def test_importing_panels_loads_nothing_heavy():
    code = (
        "import workbench.panels, sys; "
        "print([m for m in ('torch', 'lightning', 'mlflow', 'pandas', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
