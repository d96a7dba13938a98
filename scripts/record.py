"""`make record`: train the tour's arms for a while and keep what the detectors read, for the tests of every method.

Writes tests/golden/journals/<family>__<method>.npz with `<arm>.<signal>` and `<arm>.<signal>.steps`: real runs,
mantissas cut to 12 bits so that the files stay small.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from workbench.cards import Card, card, experiments
from workbench.detectors import Detectors, load
from workbench.runs import Run, launch, new_group

FOLDER = Path(__file__).parents[1] / "tests" / "golden" / "journals"
STEPS = 400
WHOLE = 1000  # a tour of at most so many steps is recorded to its end


def main() -> int:
    """Record the experiments named on the command line (none: all)."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("experiment", nargs="*")
    for name in options.parse_args().experiment or experiments():
        path = FOLDER / f"{name.replace('/', '__')}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, allow_pickle=False, **record(card(name)))
        print(f"{path} {path.stat().st_size / 1024:.0f} kB")
    return 0


def record(found: Card) -> dict[str, np.ndarray]:
    """What the card's detectors read of the first steps of each of the tour's arms."""
    group, arrays = new_group(), {}
    arms = found.preset("tour").arms
    runs = [launch(found.id, arm=a, preset="tour", overrides={"tracking": "off"}, group=group) for a in arms]
    for arm, run in zip(arms, runs, strict=True):
        if run.config["steps"] > WHOLE:
            # Stopped, not shortened: schedules that reach to the end of the run stay the tour's.
            run.stop(at_step=STEPS)
        run.wait()
        arrays.update({f"{arm}.{name}": values for name, values in read(found, run).items()})
    return arrays


def read(found: Card, run: Run) -> dict[str, np.ndarray]:
    """The signals that the card's detectors want."""
    wanted, kept = Detectors(load(found)), {}
    for name, kind in run.reader.names().items():
        if kind != "text" and wanted.wants(name) and _named(found, name):
            points = run.reader.scalars(name) if kind == "scalar" else run.reader.arrays(name)
            kept[name], kept[f"{name}.steps"] = cut(points.values), points.steps.astype(np.int32)
    return kept


def _named(found: Card, name: str) -> bool:
    """Whether a detector asks for this very signal, and not for every signal there is."""
    return any(name in d.needs for d in load(found))


def cut(values: np.ndarray) -> np.ndarray:
    """Float32 with 12 bits of mantissa."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFFF800)).view(np.float32)


if __name__ == "__main__":
    raise SystemExit(main())
