"""Controls: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards import SGD, Adam, Config, InvalidValue, UnknownName, WorkbenchError, check, control, controls_of
from workbench.cards.controls import canonical, flat, get, plain, put


class Norm(enum.Enum):
    NONE = "none"
    FULL = "full"


@dataclass
class Example(Config):
    epsilon: float = control(0.1, min=0, max=0.5, unit="pixel", help="half-width of the box")
    layers: int = control(3, min=1, max=9, when="launch")
    norm: Norm = control(Norm.FULL, when="launch")  # noqa: RUF009
    mode: str = control("a", choices=("a", "b"))
    freeze: bool = control(False)
    constant: int = 7
    optimizer: Adam = field(default_factory=lambda: Adam(lr=5e-4))


CONTROLS = controls_of(Example)


def test_controls_are_found_by_dotted_name_with_their_types():
    kinds = {name: c.kind for name, c in CONTROLS.items()}
    assert kinds["epsilon"] == "float"
    assert kinds["layers"] == "int"
    assert kinds["norm"] == "choice"
    assert CONTROLS["norm"].choices == ("none", "full")
    assert kinds["freeze"] == "bool"
    assert "optimizer.lr" in kinds
    assert "constant" not in kinds


def test_the_methods_own_controls_come_first_and_defaults_are_the_configs():
    assert next(iter(CONTROLS)) == "epsilon"
    assert list(CONTROLS)[-1] == "steps"
    assert CONTROLS["optimizer.lr"].default == 5e-4


def test_the_optimizer_of_the_config_decides_which_controls_there_are():
    @dataclass
    class Other(Config):
        optimizer: SGD = field(default_factory=SGD)

    assert "optimizer.momentum" in controls_of(Other)
    assert "optimizer.beta1" not in controls_of(Other)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epsilon": 0.6}, "epsilon must lie between 0 and 0.5 pixel; got 0.6."),
        ({"epsilon": math.nan}, "epsilon must be a finite number between 0 and 0.5 pixel; got nan."),
        ({"epsilon": "wide"}, "epsilon must be a number between 0 and 0.5 pixel; got 'wide'."),
        ({"epsilon": True}, "epsilon must be a number between 0 and 0.5 pixel; got True."),
        ({"layers": 2.5}, "layers must be a whole number between 1 and 9; got 2.5."),
        ({"norm": "half"}, "norm must be one of none, full; got 'half'."),
        ({"freeze": "perhaps"}, "freeze must be true or false; got 'perhaps'."),
        (
            {"lr": 0},
            "optimizer.lr must lie above 0 and at most 10; got 0. To stop learning for a while, pause the run.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_name_value_and_range(values, words):
    with pytest.raises(InvalidValue) as refusal:
        check(CONTROLS, values)
    assert str(refusal.value) == words


def test_an_unknown_control_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'epsilon'"):
        check(CONTROLS, {"epsilonn": 0.1})


def test_lr_is_an_alias():
    assert check(CONTROLS, {"lr": 1e-3}) == {"optimizer.lr": 1e-3}
    assert canonical("epsilon") == "epsilon"


@given(st.one_of(st.floats(), st.integers(), st.text(), st.booleans(), st.none(), st.binary()))
def test_any_value_is_either_in_range_or_refused_in_words(value):
    try:
        accepted = CONTROLS["epsilon"].check(value)
    except WorkbenchError as error:
        accepted, refused = None, str(error)
    assert "epsilon" in refused if accepted is None else 0 <= accepted <= 0.5


def test_values_are_put_in_place_and_enums_stay_enums():
    config = Example()
    put(config, "norm", "none")
    put(config, "optimizer.lr", 0.1)
    assert config.norm is Norm.NONE
    assert get(config, "optimizer.lr") == 0.1
    assert plain(config)["norm"] == "none"
    assert flat(config)["optimizer.lr"] == 0.1


@pytest.mark.parametrize("wrong", [{"when": "sometimes"}, {"when": "stage"}, {"stage": "epoch"}, {"scale": "sqrt"}])
def test_a_declaration_that_makes_no_sense_is_an_error_at_once(wrong):
    with pytest.raises(ValueError, match=r"when|scale"):
        control(0.1, **wrong)
