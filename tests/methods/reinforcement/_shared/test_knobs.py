"""Knobs that methods share: what a method changes of them, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from workbench.cards import Config, InvalidValue
from workbench.cards.controls import controls_of
from workbench.methods.reinforcement._shared.knobs import check_parts, check_traces, knob


@dataclass
class Mine(Config):
    clip: float = knob("clip", "Update")
    passes: int = knob("epochs", "Update", default=3, label="passes a batch")


def test_a_knob_is_the_familys_but_for_what_the_method_changes():
    found = controls_of(Mine)
    assert (found["clip"].default, found["clip"].min, found["clip"].max, found["clip"].group) == (
        0.2,
        0.05,
        0.5,
        "Update",
    )
    assert (found["passes"].default, found["passes"].label, found["passes"].max) == (3, "passes a batch", 8)


def test_parts_that_do_not_divide_the_batch_and_batches_that_cannot_be_filled_are_refused():
    check_parts(16, group_size=4, minibatches=2)
    with pytest.raises(InvalidValue, match="minibatches must divide batch_size; got 3 and 16 responses"):
        check_parts(16, group_size=4, minibatches=3)
    check_traces(64, 64)
    with pytest.raises(InvalidValue, match="sft_batch must not exceed traces, or an epoch has no step; got 65 and 64"):
        check_traces(65, 64)
