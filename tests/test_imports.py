"""The notebook side is light, the rooms keep to themselves, and the public names are the ones promised."""

import json
import os
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import workbench

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "lightning", "pytorch_lightning", "mlflow"}
LIGHT_ROOMS = [
    "workbench", "workbench.cards", "workbench.signals", "workbench.per_class", "workbench.journal",
    "workbench.detectors", "workbench.runs", "workbench.figures", "workbench.panels", "workbench.tracking",
    "workbench.steering", "workbench.data", "workbench.doctor", "workbench.lab", "workbench.cli",
]  # fmt: skip


def modules_after(code: str) -> set[str]:
    """The top-level packages a fresh interpreter has loaded after `code`."""
    show = "import sys, json; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_importing_a_room_of_the_notebook_side_loads_nothing_heavy(room):
    assert modules_after(f"import {room}") & HEAVY == set()


def test_importing_the_package_alone_loads_not_even_numpy():
    assert modules_after("import workbench") & (HEAVY | {"numpy", "pandas", "hydra", "plotly", "ipywidgets"}) == set()


def test_every_card_is_light():
    code = "import workbench\nfor name in workbench.experiments(): workbench.card(name)"
    assert modules_after(code) & (HEAVY | {"numpy", "pandas"}) == set()


def test_a_panel_object_loads_nothing_heavy():
    assert modules_after("import workbench\nworkbench.open('certified/ibp')") & HEAVY == set()


def test_the_public_names_are_exactly_these_and_all_of_them_resolve():
    assert set(workbench.__all__) == {
        "Batches", "ClassReport", "Logger", "PerClass", "Steering", "TransformersSteering", "WorkbenchError",
        "__version__", "card", "claims", "detect", "emit", "experiments", "launch", "open", "ramp", "run", "session",
        "set", "store", "watch", "when",
    }  # fmt: skip
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None
    assert dir(workbench) == sorted(workbench.__all__)


def test_an_unknown_public_name_is_an_attribute_error_that_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'lunch'; it offers .*launch"):
        _ = workbench.lunch


def test_the_cards_room_uses_the_standard_library_only():
    graph = grimp.build_graph("workbench", include_external_packages=True, cache_dir=None)
    room = {"workbench.cards", *graph.find_descendants("workbench.cards")}
    outside = {name for module in room for name in graph.find_modules_directly_imported_by(module)} - room
    assert {name for name in outside if name.partition(".")[0] not in sys.stdlib_module_names} == set()


def test_rooms_import_only_what_the_contracts_allow():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
