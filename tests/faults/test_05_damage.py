"""A journal of a real run, cut off or with bits flipped: read in part and the rest named, or refused and named."""

import random
import shutil

import numpy as np
import pytest

from tests.faults.harness import names, reach, start, times
from workbench.cards.errors import StoreError, WorkbenchError
from workbench.journal import Reader, RunDir
from workbench.runs import Run, Store

PLACES = times(20, 200)


@pytest.fixture
def recorded():
    """A run with a few thousand steps, commands and checkpoints, ended by itself."""
    run = start(steps=3000, pace=0)
    reach(run, 0)
    for k in range(20):
        run.wait_outcome(run.set(strength=float(k)))
    run.wait_outcome(run.checkpoint())
    assert run.wait(60) == "finished"
    run.reader.close()
    return run


def everything(reader: Reader) -> dict:
    """All that a journal says, by kind and key, so that parts of it can be compared."""
    said = {}
    for name, kind in reader.names().items():
        points = reader.scalars(name) if kind == "scalar" else reader.arrays(name)
        said |= {("value", name, int(s)): (np.asarray(v).tobytes(), t) for s, v, t in
                 zip(points.steps, points.values, points.times, strict=True)}  # fmt: skip
    for what in ("commands", "events", "checkpoints"):
        said |= {(what, row.id): row for row in getattr(reader, what)()}
    said |= {("meta", key): value for key, value in reader.meta.items()}
    return said


HOW = {
    "5a": ("cut off", lambda blob, place, draw: blob[:place]),
    "5b": ("one bit flipped", lambda blob, place, draw: flipped(blob, place, draw.randrange(8))),
    "5c": ("a page overwritten", lambda blob, place, draw: blob[:place] + draw.randbytes(4096) + blob[place + 4096 :]),
}


def flipped(blob: bytes, place: int, bit: int) -> bytes:
    return blob[:place] + bytes([blob[place] ^ 1 << bit]) + blob[place + 1 :]


def test_a_damaged_journal_shows_no_wrong_value_and_names_what_is_missing(recorded, tell):
    draw = random.Random(5)
    truth = everything(Reader(recorded.dir))
    whole = recorded.dir.journal.read_bytes()
    copy = RunDir(recorded.dir.path.with_name(f"{recorded.id}x"))
    shutil.copytree(recorded.dir.path, copy.path)
    for number, (how, damage) in HOW.items():
        counts = dict.fromkeys(("read_whole", "read_in_part", "refused"), 0)
        for _ in range(PLACES):
            copy.journal.write_bytes(damage(whole, draw.randrange(len(whole)), draw))
            counts[looked_at(copy, truth)] += 1
            look(Run.open(copy))
            assert recorded.id in [r.id for r in Store.find().runs()]  # the others stay in the list
        tell(
            number,
            f"the journal of a run ({len(whole) / 2**20:.1f} MB), {how} at a random place",
            "nothing hangs, no value is wrong, and what is missing is named; the store's other runs stay listed",
            places=PLACES, **counts,
        )  # fmt: skip


def looked_at(damaged: RunDir, truth: dict) -> str:
    """How much of a damaged journal could be read; all of it must be true."""
    try:
        reader = Reader(damaged)
        said = everything(reader)
    except StoreError as refusal:
        names(refusal, str(damaged.path))
        return "refused"
    reader.close()
    assert {key for key, value in said.items() if truth.get(key) != value} == set()
    if said.keys() == truth.keys():
        return "read_whole"
    assert reader.damage
    return "read_in_part"


def look(run: Run) -> None:
    """What panel, command line and notebook ask of a run raises nothing but sentences."""
    for ask in ("state", "message", "step", "steps", "findings", "interventions", "pending", "controls"):
        try:
            getattr(run, ask)
        except WorkbenchError as error:
            names(error, run.id)
    try:
        run.values()
        run.frame()
    except WorkbenchError as error:
        names(error, run.id)
