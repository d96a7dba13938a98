from dataclasses import dataclass

from tests.figures.recorded import CARD
from workbench.figures.palette import resolve, run_colors, tokens


@dataclass
class Shown:
    """As much of a run as its colour needs."""

    id: str
    arm: str
    kind: str = ""


def colors(*arms):
    return list(run_colors(CARD, [Shown(str(i), arm) for i, arm in enumerate(arms)]).values())


def test_remedy_and_phenomenon_have_the_same_colours_in_whatever_order_they_are_shown():
    assert colors("broken", "mended") == [1, 0]
    assert colors("mended", "broken", "half") == [0, 1, 2]


def test_two_seeds_of_an_arm_are_told_apart():
    assert len(set(colors("mended", "mended", "broken", "half", "mended"))) == 5


def test_a_fork_takes_no_colour_from_what_was_there_before_it():
    shown = [Shown("a", "mended"), Shown("f", "mended", "fork"), Shown("b", "broken"), Shown("r", "broken", "replay")]
    assert run_colors(CARD, shown) == {"a": 0, "b": 1, "f": 2, "r": 3}
    assert run_colors(CARD, shown[1:2]) == {"f": 0}


def test_a_run_without_an_arm_has_the_first_colour():
    assert colors("") == [0]


def test_both_themes_know_the_same_names_and_every_run_s_colour():
    light, dark = tokens()["light"], tokens()["dark"]
    assert light.keys() == dark.keys()
    assert set(tokens()["runs"]) <= light.keys()
    assert resolve({"run": 1}, "light") == light[tokens()["runs"][1]]
    assert resolve({"run": len(tokens()["runs"])}, "dark") == dark[tokens()["runs"][0]]
    assert resolve({"token": "ink"}, "dark") == dark["ink"]
