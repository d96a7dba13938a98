"""Two runs side by side: identical to the bit, or the first difference by name; settings and interventions."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs.recorded import Recorded
from workbench.runs import Store
from workbench.runs.compare import Difference, identical, report

WEIGHTS = {"encoder.weight": "a" * 64, "encoder.bias": "b" * 64}
NAN = float("nan")
OTHER_NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001))[0]


def pair(count=100, ours=None, theirs=None, weights=(WEIGHTS, WEIGHTS)):
    """Two runs that ended, with the signals `ours` and `theirs` beside their loss."""
    return [
        Recorded().train(count, **(extra or {})).end(weights=w)
        for extra, w in zip((ours, theirs), weights, strict=True)
    ]


def changed(at, value, base=np.sin):
    """A series that has another value at one step."""
    return lambda steps: np.where(steps == at, value, base(steps))


def test_two_runs_of_the_same_bits_are_identical_whatever_their_times():
    a, b = pair(ours={"wave": np.sin}, theirs={"wave": np.sin})
    assert a["loss"].times.tolist() != b["loss"].times.tolist()
    found = identical(a, b)
    assert found
    assert str(found) == "Identical: 2 signals over 100 steps and 2 weight tensors, to the bit."
    assert (found.first, found.signals, found.weights) == (None, (), ())


def test_the_difference_of_the_smallest_step_comes_first_and_of_one_step_the_first_name():
    a = Recorded().train(100, z=changed(40, 1.0), y=changed(12, 2.0), x=changed(12, 3.0)).end()
    b = Recorded().train(100, z=changed(40, 1.5), y=changed(12, 2.5), x=changed(12, 3.5)).end()
    found = identical(a, b)
    assert not found
    assert found.first == Difference("x", 12, 3.0, 3.5)
    assert found.signals == ("x", "y", "z")
    assert str(found) == "They differ first at step 12 in x: 3 against 3.5 (3 of 4 signals differ)."


def test_a_difference_in_the_last_bit_is_one_and_is_shown_with_digits_enough():
    a, b = pair(ours={"wave": changed(7, 0.1)}, theirs={"wave": changed(7, math.nextafter(0.1, 1))})
    found = identical(a, b)
    assert found.first.step == 7
    assert "0.1 against 0.10000000000000002" in str(found)
    assert "(1 of 2 signals differs; the final weights are identical)" in str(found)


def test_nan_equals_nan_of_the_same_bits_and_zero_is_not_minus_zero():
    same = {"bound": changed(5, NAN)}
    assert identical(*pair(ours=same, theirs=same))
    other = identical(*pair(ours=same, theirs={"bound": changed(5, OTHER_NAN)}))
    assert other.first.step == 5
    assert "nan (0x7ff8000000000000) against nan (0x7ff8000000000001)" in str(other)
    assert "0 against -0" in str(identical(*pair(ours={"z": changed(5, 0.0)}, theirs={"z": changed(5, -0.0)})))


def test_of_an_array_the_place_is_named():
    def layers(steps):
        return np.ones((len(steps), 3, 2), np.float32) * steps[:, None, None].astype(np.float32)

    def odd(steps):
        values = layers(steps)
        values[steps == 30, 2, 1] = -1
        return values

    found = identical(*pair(ours={"width": layers}, theirs={"width": odd}))
    assert found.first == Difference("width", 30, 30.0, -1.0, (2, 1))
    assert "at step 30 in width[2, 1]: 30 against -1" in str(found)


def test_another_shape_or_type_of_an_array_is_a_difference_even_in_the_middle_of_a_series():
    def record(late):
        made = Recorded().train(20, v=lambda s: np.zeros((len(s), 3)))
        made.train(20, v=lambda s: np.zeros((len(s), 4), late))
        return made.train(20, v=lambda s: np.zeros((len(s), 3))).end()

    assert identical(record(np.float64), record(np.float64))
    found = identical(record(np.float64), record(np.float32))
    assert found.first == Difference("v", 20, "float64 of shape (4,)", "float32 of shape (4,)")
    assert "float64 of shape (4,) against float32 of shape (4,)" in str(found)


def test_texts_are_compared():
    def record(word):
        return Recorded().say("verdict", 0, "certified").say("verdict", 9, word).train(10).end()

    assert identical(record("box"), record("box"))
    assert identical(record("box"), record("ball")).first == Difference("verdict", 9, "box", "ball")


def test_a_signal_or_a_step_that_one_lacks_is_a_difference():
    a, b = pair(ours={"extra": np.cos})
    found = identical(a, b)
    assert found.first == Difference("extra", 0, 1.0, None)
    assert found.missing == ("extra",)
    assert "1 against nothing" in str(found)
    shorter = Recorded().train(60).end("stopped")
    whole = Recorded().train(100).end()
    found = identical(shorter, whole)
    assert found.first == Difference("loss", 60, None, whole["loss"].values[60])
    assert found.missing == ()


def test_weights_are_compared_by_name_if_both_ended_at_the_same_step():
    other = {**WEIGHTS, "encoder.bias": "c" * 64}
    found = identical(*pair(weights=(WEIGHTS, other)))
    assert not found
    assert found.weights == ("encoder.bias",)
    assert str(found) == (
        "1 signal over 100 steps is identical, but 1 of 2 final weight tensors differ, the first encoder.bias."
    )
    fewer = identical(*pair(weights=(WEIGHTS, {"encoder.bias": "b" * 64})))
    assert fewer.weights == ("encoder.weight",)
    assert identical(*pair(weights=(WEIGHTS, None))).tensors is None


def test_a_run_that_still_trains_is_compared_so_far_and_is_not_yet_identical():
    a = Recorded().train(100).end()
    training = Recorded().train(40)
    training.writer.flush()
    found = identical(a, training.run)
    assert not found
    assert found.same
    assert found.first is None
    assert str(found) == f"Identical so far: 1 signal over 39 steps, to the bit. {training.run.id} still trains."
    training.end()


def test_runs_without_any_value_are_not_called_identical():
    found = identical(Recorded().end(), Recorded().end())
    assert not found
    assert "nothing to compare" in str(found)


def test_a_fork_is_compared_with_its_parent_from_the_fork_on():
    parent = Recorded().train(100).end()
    child = Recorded(first=40, parent=parent.id, fork_step=40).train(60).end()
    found = identical(parent, child)
    assert found
    assert (found.start, found.steps) == (40, 60)
    assert str(found) == "Identical from step 40 on: 1 signal over 60 steps, to the bit."
    odd = Recorded(first=40, parent=parent.id, fork_step=40).train(60, loss=changed(70, 9.0, lambda s: np.exp(-s / 50)))
    assert identical(odd.end(), parent).first.step == 70


def test_two_forks_are_compared_from_where_they_part_with_the_parents_steps_in_between():
    def bent(since):
        return lambda s: np.where(s >= since, 1.0, 0.0)

    parent = Recorded().train(100, x=bent(1000)).end()
    early = Recorded(first=30, parent=parent.id, fork_step=30).train(70, x=bent(35)).end()
    late = Recorded(first=60, parent=parent.id, fork_step=60).train(40, x=bent(60)).end()
    found = identical(early, late)
    assert (found.start, found.steps) == (30, 70)
    assert found.first == Difference("x", 35, 1.0, 0.0)


def test_a_fork_of_a_fork_reads_through_all_of_its_ancestors():
    first = Recorded().train(50).end()
    second = Recorded(first=20, parent=first.id, fork_step=20).train(30).end()
    third = Recorded(first=40, parent=second.id, fork_step=40).train(60).end()
    whole = Recorded().train(100).end()
    found = identical(third, whole)
    assert found
    assert (found.start, found.steps) == (0, 100)
    assert third.history("loss").values.tolist() == whole["loss"].values.tolist()
    assert third.history("loss").steps.tolist() == list(range(100))


def test_signals_that_a_card_declares_as_not_repeatable_are_left_out(monkeypatch):
    from workbench.cards import Card, Config, Paper, Signal
    from workbench.runs import run as module

    card = Card(
        id="my/idea", title="Idea", paper=Paper("p", "v", 2026), phenomenon="x", remedy="y", config=Config,
        signals=(Signal("loss"), Signal("speed", deterministic=False)), views=(), arms=(), presets=(),
    )  # fmt: skip
    a, b = pair(ours={"speed": np.sin}, theirs={"speed": np.cos})
    assert identical(a, b).signals == ("speed",)
    monkeypatch.setattr(module.Run, "card", card)
    found = identical(a, b)
    assert found
    assert found.skipped == ("speed",)


def test_what_a_damaged_journal_has_lost_is_named_and_is_not_identical():
    import sqlite3
    from contextlib import closing

    a, b = pair(200, ours={"x": np.sin}, theirs={"x": np.sin})
    with closing(sqlite3.connect(b.dir.journal)) as db, db:
        db.execute("UPDATE chunk_data SET data = x'00' WHERE id = (SELECT max(id) FROM chunk_data)")
    a, b = (Store.find().run(r.id) for r in (a, b))
    found = identical(a, b)
    assert not found
    assert f"Not everything could be read: {b.id}: Values of the signal 'x'" in str(found)


@given(
    steps=st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted),
    others=st.lists(st.integers(0, 60), unique=True, max_size=40).map(sorted),
    cut=st.integers(1, 7), other_cut=st.integers(1, 7), bend=st.one_of(st.none(), st.integers(0, 60)),
)  # fmt: skip
@settings(max_examples=200)
def test_the_first_difference_is_found_however_the_series_lie_in_blocks(steps, others, cut, other_cut, bend):
    from workbench.journal import ArrayPoints
    from workbench.runs.differences import first_difference

    def blocks(at, size, bent):
        for i in range(0, len(at), size):
            part = np.array(at[i : i + size])
            values = np.where(part == (-1 if bent is None else bent), 5.0, part * 0.5)
            yield ArrayPoints(part, values, np.zeros(len(part)))

    found, seen = first_difference("x", blocks(steps, cut, None), blocks(others, other_cut, bend))
    one, other = ({s: 5.0 if s == b else s * 0.5 for s in at} for at, b in ((steps, None), (others, bend)))
    odd = [s for s in sorted({*one, *other}) if one.get(s) != other.get(s)]
    assert (found.step if found else None) == (odd[0] if odd else None)
    assert seen == (bool(steps), bool(others))
    if found:
        assert (found.a, found.b) == (one.get(found.step), other.get(found.step))


def test_the_report_puts_settings_and_interventions_side_by_side_as_plain_data():
    a = Recorded().move(1, 10, epsilon=0.2).press(2, 30, "shock").train(100).end()
    b = Recorded(config={"epsilon": 0.3}).move(1, 10, "replay", epsilon=0.2).train(100, bound=changed(3, NAN)).end()
    found = report(a, b)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["a"], found["b"], found["aligned_at"], found["identical"]) == (a.id, b.id, 0, False)
    assert found["config"]["differing"] == [["epsilon", 0.1, 0.3]]
    assert ["optimizer.lr", 0.001] in found["config"]["identical"]
    assert not [name for name, _ in found["config"]["identical"] if name.startswith("run.")]
    deeds = found["interventions"]
    assert [(r["step"], r["text"]) for r in deeds["both"]] == [(10, "epsilon 0.1 → 0.2")]
    assert [(r["step"], r["text"]) for r in deeds["a_only"]] == [(30, "shock")]
    assert deeds["b_only"] == []
    assert found["first_difference"] == {"signal": "bound", "step": 0, "index": [], "a": None, "b": 0.0}
    assert found["text"].startswith("They differ first at step 0 in bound: nothing against 0")


def test_a_fork_has_its_parents_interventions_before_it_and_none_of_the_later_ones():
    made = Recorded().move(1, 10, epsilon=0.2).move(2, 40, epsilon=0.3).move(3, 40, epsilon=0.4)
    parent = made.move(4, 60, epsilon=0.5).train(100).end()
    whole = Recorded(first=40, parent=parent.id, fork_step=40).move(1, 40, "fork", epsilon=0.05).train(60).end()
    before = Recorded(first=40, parent=parent.id, fork_step=40, fork_before=3).train(60).end()

    def deeds(child, side):
        return [r["text"] for r in report(parent, child)["interventions"][side]]

    assert deeds(whole, "both") == ["epsilon 0.1 → 0.2"]
    assert deeds(whole, "a_only") == ["epsilon 0.1 → 0.3", "epsilon 0.1 → 0.4", "epsilon 0.1 → 0.5"]
    assert deeds(whole, "b_only") == ["epsilon 0.1 → 0.05"]
    assert deeds(before, "both") == ["epsilon 0.1 → 0.2", "epsilon 0.1 → 0.3"]


@pytest.mark.parametrize("first", [0, 50])
def test_a_comparison_can_begin_at_a_step_of_ones_choice(first):
    a, b = pair(ours={"x": changed(20, 1.0)}, theirs={"x": changed(20, 2.0)})
    assert bool(a.identical_to(b, first=first)) == (first > 20)
