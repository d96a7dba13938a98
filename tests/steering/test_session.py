"""A session around a plain loop: boundaries, commands, pauses, stages, ends. Real inbox, real journal, real threads."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

import workbench
from workbench import emit
from workbench.cards import Adam, Config, InvalidValue, NotAllowed, control
from workbench.runs import Store


@dataclass
class Knobs(Config):
    epsilon: float = control(0.1, min=0, max=1)
    other: float = control(0.0, min=0, max=1)
    ramp: int = control(5, min=1, max=50, when="stage", stage="epoch")
    width: int = control(8, min=1, max=64, when="launch")
    optimizer: Adam = field(default_factory=Adam)

    def validate(self) -> None:
        if self.epsilon + self.other > 1.5:
            raise InvalidValue(f"epsilon and other must not exceed 1.5 together; got {self.epsilon} and {self.other}.")


def session(config=None, **options):
    return workbench.session(config or Knobs(), experiment="my/idea", mlflow=False, **options)


def outcomes(run):
    return [(r.kind, r.outcome, r.step) for r in run.interventions]


def test_every_emitted_value_is_kept_at_its_step():
    with session() as s:
        for step in s.steps(50):
            emit("loss", 1.0 / (step + 1))
            emit("loss", 2.0 / (step + 1))  # the last of a step wins
            if step % 7 == 0:
                emit("probe", [step, 2 * step])
            emit("words", f"step {step}")
    run = workbench.run()
    assert run.state == "finished"
    assert run["loss"].steps.tolist() == list(range(50))
    assert run["loss"].values.tolist() == [2.0 / (s + 1) for s in range(50)]
    assert run.reader.arrays("probe").values.tolist() == [[s, 2 * s] for s in range(0, 50, 7)]
    assert run.reader.text_at("words", 12) == (12, "step 12")
    assert list(run.frame().columns) == ["loss"]


def test_a_loop_that_emits_nothing_still_runs():
    with session() as s:
        assert list(s.steps(3)) == [0, 1, 2]
    assert workbench.run().state == "finished"


def test_emit_without_a_session_does_nothing():
    emit("loss", 1.0)
    assert Store.find().ids() == []


@pytest.mark.parametrize("value", [object(), {"a": 1}, ["x", 1], [[1], [1, 2]]])
def test_what_cannot_be_recorded_is_refused_by_name(value):
    with pytest.raises(InvalidValue, match="emit\\('strange'"), session() as s:
        for _ in s.steps(1):
            emit("strange", value)
    assert workbench.run().state == "failed"


def test_scheduled_sets_take_effect_before_their_step_and_stand_in_the_record():
    config = Knobs()
    seen = []
    with session(config) as s:
        run = workbench.run()
        run.set(epsilon=0.5, at_step=10)
        run.set({"optimizer.lr": 0.01, "epsilon": 0.7}, at_step=20)
        for _ in s.steps(30):
            seen.append((config.epsilon, config.optimizer.lr))
    assert seen == [(0.1, 1e-3)] * 10 + [(0.5, 1e-3)] * 10 + [(0.7, 0.01)] * 10
    first, second = run.interventions
    assert (first.step, first.old, first.new) == (10, {"epsilon": 0.1}, {"epsilon": 0.5})
    assert (second.step, second.old["epsilon"], second.new) == (20, 0.5, {"optimizer.lr": 0.01, "epsilon": 0.7})
    assert run.values()["epsilon"] == 0.7


def test_of_several_sets_due_at_one_step_those_overridden_whole_are_superseded():
    config = Knobs()
    with session(config) as s:
        run = workbench.run()
        run.set(epsilon=0.2, at_step=5)
        run.set(epsilon=0.3, other=0.4, at_step=5)
        run.set(epsilon=0.5, at_step=5)
        for _ in s.steps(6):
            pass
    assert [r.outcome for r in run.interventions] == ["superseded", "applied", "applied"]
    assert (config.epsilon, config.other) == (0.5, 0.4)


def test_a_wrong_value_is_refused_at_the_caller_and_in_the_worker():
    config = Knobs()
    with session(config) as s:
        run = workbench.run()
        with pytest.raises(InvalidValue, match="between 0 and 1"):
            run.set(epsilon=7)
        with pytest.raises(InvalidValue, match="finite"):
            run.set(epsilon=math.nan)
        # Anybody may write an inbox: the worker does not trust what it finds there.
        run._issue("set", {"values": {"epsilon": 7}}, source="elsewhere")
        run._issue("set", {"values": {"epsilon": 0.9, "other": 0.9}}, source="elsewhere")
        run._issue("set", {"values": {"width": 9}}, source="elsewhere")
        run._issue("action", {"name": "shock"}, source="elsewhere")
        for _ in s.steps(3):
            time.sleep(0.03)
    assert [r.outcome for r in run.interventions] == ["refused"] * 4
    assert "between 0 and 1" in run.interventions[0].reason
    assert "must not exceed 1.5" in run.interventions[1].reason
    assert "decided at launch" in run.interventions[2].reason
    assert "no action 'shock'" in run.interventions[3].reason
    assert config.epsilon == 0.1


def test_a_launch_control_is_refused_with_an_offer_of_a_new_run():
    with session() as s:
        run = workbench.run()
        for _ in s.steps(1):
            with pytest.raises(NotAllowed, match=r"start a new run: .* width=16"):
                run.set(width=16)


def test_a_stage_control_waits_for_the_next_boundary_of_its_stage():
    config = Knobs()
    seen = []
    with session(config) as s:
        run = workbench.run()
        run.set(ramp=9, at_step=3)
        for step in s.steps(20):
            if step % 8 == 0:
                s.stage("epoch", step // 8)
            seen.append(config.ramp)
    assert seen == [5] * 8 + [9] * 12
    assert run.interventions[0].step == 8


def test_a_command_for_a_step_that_has_passed_expires():
    with session() as s:
        run = workbench.run()
        for step in s.steps(12):
            if step == 6:
                run.set(epsilon=0.5, at_step=3)
            time.sleep(0.01)
        assert run.wait_outcome(1).outcome == "expired"
        assert "step 3 had passed" in run.outcome(1).reason


def test_what_is_pending_when_the_run_ends_expires():
    with session() as s:
        run = workbench.run()
        run.set(epsilon=0.5, at_step=1000)
        for _ in s.steps(3):
            pass
    assert run.outcome(1).outcome == "expired"
    assert run.outcome(1).reason == "the run had ended"
    with pytest.raises(NotAllowed, match="finished, so it takes no commands"):
        run.set(epsilon=0.2)


class Steered:
    """A loop of 2 ms steps on its own thread, to steer from the test's."""

    def __enter__(self):
        self.config, self.ready = Knobs(), threading.Event()
        self.thread = threading.Thread(target=self._train)
        self.thread.start()
        self.ready.wait(10)
        self.run = workbench.run()
        return self

    def _train(self):
        with session(self.config) as s:
            self.ready.set()
            for step in s.steps(1_000_000):
                emit("loss", float(step))
                time.sleep(0.002)

    def done(self, command):
        record = self.run.wait_outcome(command)
        assert record is not None
        assert record.outcome == "applied", record.reason
        return record

    def until(self, true):
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __exit__(self, *exc):
        if not self.run.ended:
            self.run.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


def test_while_paused_commands_are_neither_lost_nor_delayed_and_steps_are_counted():
    with Steered() as loop:
        run = loop.run
        at = loop.done(run.pause()).step
        loop.until(lambda: run.state == "paused")
        changed = loop.done(run.set(epsilon=0.6))
        assert changed.step == at
        loop.done(run.do_steps(1))
        loop.done(run.do_steps(2))
        loop.until(lambda: (run.state, run.step) == ("paused", at + 2))  # steps at, at+1, at+2 were trained
        loop.done(run.stop())
        assert run.wait(10) == "stopped"
        assert run["loss"].steps[-1] == at + 2


def test_a_paused_run_goes_on_where_it_stood():
    with Steered() as loop:
        at = loop.done(loop.run.pause()).step
        loop.done(loop.run.resume())
        while loop.run.step < at + 5:
            time.sleep(0.01)
        refused = loop.run.wait_outcome(loop.run.resume())
        assert (refused.outcome, refused.reason) == ("refused", "the run is not paused")
    assert np.array_equal(loop.run["loss"].steps, np.arange(loop.run.step + 1))


def test_many_writers_at_once_all_get_an_outcome_in_order():
    with Steered() as loop:
        from workbench.journal import Inbox

        def issue():
            inbox = Inbox(loop.run.dir)
            for i in range(25):
                inbox.issue("set", {"values": {"epsilon": i / 100}})

        threads = [threading.Thread(target=issue) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        loop.run.wait_outcome(100)
    sets = [r for r in loop.run.interventions if r.kind == "set"]
    assert [r.seq for r in sets] == sorted(r.seq for r in sets)
    assert len(sets) == 100
    assert {r.outcome for r in sets} <= {"applied", "superseded"}


def test_a_loop_that_raises_leaves_a_failed_run_with_its_traceback_and_its_data():
    with pytest.raises(ZeroDivisionError), session() as s:
        for step in s.steps(10):
            emit("loss", float(step))
            if step == 7:
                1 / 0  # noqa: B018
    run = workbench.run()
    assert run.state == "failed"
    assert run.message == "ZeroDivisionError: division by zero"
    assert "1 / 0" in run.reader.events(["error"])[0].payload["traceback"]
    assert len(run["loss"]) == 8


def test_running_out_of_memory_is_said_in_words():
    with pytest.raises(MemoryError), session() as s:
        for _ in s.steps(1):
            raise MemoryError
    assert "smaller batch_size" in workbench.run().message


def test_a_nan_is_a_finding_and_not_the_end():
    with session() as s:
        for step in s.steps(40):
            emit("loss", math.nan if step >= 30 else 1.0)
    run = workbench.run()
    assert run.state == "finished"
    found = next(f for f in run.findings if f.id == "non_finite")
    assert found.first == 30


def test_while_the_disk_is_full_training_goes_on_and_nothing_is_lost_when_there_is_room_again(capsys):
    config = Knobs()
    seen = []

    def allow(session, pages):
        for connection in (session.writer._slow, session.writer._fast):
            connection.execute(f"PRAGMA max_page_count={pages}").fetchall()

    with session(config) as s:
        run = workbench.run()
        for step in s.steps(300):
            emit("loss", float(step))
            emit("vector", np.full(200, float(step)))
            if step == 100:
                s.recorder.flush()
                allow(s, s.writer._slow.execute("PRAGMA page_count").fetchone()[0])
                run.set(epsilon=0.5)
            if step == 200:
                time.sleep(0.3)
                allow(s, 10**6)
            time.sleep(0.001)
            seen.append(config.epsilon)
    assert run.state == "finished"
    assert run["loss"].values.tolist() == [float(i) for i in range(300)]
    assert run.reader.arrays("vector").values[:, 7].tolist() == [float(i) for i in range(300)]
    applied = run.outcome(1)
    assert (applied.outcome, seen[applied.step - 1 :][:2]) == ("applied", [0.1, 0.5])
    assert "the disk is full" in capsys.readouterr().err


def test_a_process_trains_one_run():
    with session() as s:
        for _ in s.steps(1):
            with pytest.raises(NotAllowed, match="already has a session"), session():
                pass


def test_an_interrupted_loop_is_a_stopped_run():
    with pytest.raises(KeyboardInterrupt), session() as s:
        for _ in s.steps(5):
            raise KeyboardInterrupt
    assert (workbench.run().state, workbench.run().message) == ("stopped", "interrupted from the keyboard")


def test_an_action_is_pressed_once_and_a_probe_changes_nothing():
    pressed, drawn = [], []
    with session() as s:
        run = workbench.run()
        s.action("shock", lambda: pressed.append(s.step))
        s.probe("look", lambda: emit("seen", float(np.random.rand())))
        run.action("shock", at_step=4)
        run.set({"probes.look": 3}, at_step=6)
        for _ in s.steps(13):
            drawn.append(np.random.rand())
    assert pressed == [4]
    assert run["seen"].steps.tolist() == [6, 9, 12]
    with session() as s:
        s.probe("look", lambda: None)
        undisturbed = [np.random.rand() for _ in s.steps(13)]
    assert drawn == undisturbed


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"experiment": "Nonsense"}, "must look like 'my/idea'"),
        ({"config": {"a": 1}}, "instance of a dataclass"),
        ({"config": Knobs}, "instance of a dataclass"),
    ],
)
def test_a_session_says_what_it_needs(wrong, words):
    with pytest.raises(InvalidValue, match=words):
        workbench.session(**{"config": Knobs(), "experiment": "my/idea", "mlflow": False, **wrong})


def test_a_field_with_a_reserved_name_is_refused():
    @dataclass
    class Bad(Config):
        seed: int = 3

    with pytest.raises(InvalidValue, match="'seed' belongs to the workbench"):
        session(Bad())
