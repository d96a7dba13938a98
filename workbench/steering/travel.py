"""How a session comes to its first new step: a checkpoint, and recorded commands that take effect again after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workbench.cards import StoreError
from workbench.cards.controls import flat, put
from workbench.journal import CommandRecord, RunDir
from workbench.runs.environment import differences
from workbench.runs.run import Run
from workbench.runs.timetravel import Start, checkpoints, start
from workbench.steering.randomness import global_state, restore_global_state

if TYPE_CHECKING:
    from workbench.steering.session import Session

_MOST_COMPARED = 2_000_000  # values of an earlier attempt that are held against this one


class Framework(Protocol):
    """What trains inside a session and keeps state of its own (Lightning's Trainer)."""

    def covered(self) -> set[int]:
        """`id`s of registered objects whose state is in `state_dict`."""

    def state_dict(self) -> dict[str, Any]:
        """Its state before the step that is open."""

    def doubts(self) -> list[str]:
        """Why the same bits cannot be promised, in words."""


class Beginning:
    """Where a run begins in this process, and the state it begins with.

    Attributes:
        first: the first step that this process trains.
        hold: until this step everything was recorded before; new sets and actions wait for it.
        record_from: steps before it are trained, not recorded: they are the parent's.
        undone_at: the step at which a fork leaves out commands of its parent, and so the rules that would repeat them.
        rebuild_at: the step at which to save, leave, and be built anew with what the fork changes; None: never.
        loaded: the checkpoint's contents; None: it begins at step 0.
        decided: numbers of the commands that earlier attempts decided.
        alive_until: when the last attempt recorded its last value (seconds since 1970); 0: there was none.
        rows: checkpoints of earlier attempts.
    """

    def __init__(self, run: Run) -> None:
        self.damaged: list[str] = []
        self.loaded: dict[str, Any] | None = None
        self.plan = self._load(run)
        self.first, self.hold = self.plan.step, self.plan.hold
        self.script: list[CommandRecord] = list(self.plan.script)
        self.forked = run.fork_step is not None and not self.plan.own
        self.record_from = run.fork_step or 0
        self.undone_at = run.fork_step if run.fork_before is not None else None
        self.rebuild_at = self.record_from if self.forked and run.config["run"].get("before") else None
        self.resumed = run.dir.journal.exists()
        self.attempt = 1 + int(run.reader.meta.get("attempt", -1)) if self.resumed else 0
        self.decided = {r.seq for r in run.interventions}
        self.alive_until = _last_time(run) if self.resumed else 0.0
        self.rows = checkpoints(run)
        self.earlier = _earlier(run, self.first) if self.resumed else {}
        self.differs = _differs(run)
        run.reader.close()

    def _load(self, run: Run) -> Start:
        """The plan, with its checkpoint in memory; a damaged checkpoint gives way to the one before it."""
        bad: set[str] = set()
        while True:
            plan = start(run, without=bad)
            if plan.path is None:
                return plan
            from workbench.steering.snapshot import read

            try:
                self.loaded = read(plan.path, plan.sha256)
            except StoreError as error:
                self.damaged.append(f"{error} The one before it is used.")
                bad.add(plan.sha256)
            else:
                return plan

    def words(self) -> str:
        """What is done before the first new step, in words; empty if nothing."""
        if self.hold <= self.first:
            return ""
        return f"training steps {self.first:,} to {self.hold:,} again"

    def effects(self, step: int, stage: str, stage_of: Callable[[CommandRecord], str]) -> list[CommandRecord]:
        """Take out the recorded commands that take effect before `step`, at its boundary or (`stage`) at a stage's."""
        now = [r for r in self.script if r.step == step and stage_of(r) == stage]
        if now:
            self.script = [r for r in self.script if r not in now]
        return now

    def restore_config(self, session: Session) -> None:
        """Put the controls that may move while training back to where they stood."""
        if self.loaded is None:
            return
        controls = session.desk.controls
        leaves = flat(session.config)
        for name, value in self.loaded["config"].items():
            if name in leaves and leaves[name] != value and not _launch(controls.get(name)):
                put(session.config, name, value)
        session.desk.beside.update({n: v for n, v in self.loaded["beside"].items() if n in session.desk.beside})

    def restore_objects(self, session: Session) -> None:
        """Load everything registered."""
        if self.loaded is None or session.training is None:
            return
        known = dict(session.training.stateful())
        for name, state in self.loaded["objects"].items():
            if name not in known:
                raise StoreError(
                    f"The checkpoint of step {self.first:,} holds the state of {name.split('/', 1)[1]}, which this "
                    f"program does not register; register the same objects as when it was saved."
                )
            known[name].load_state_dict(state)

    def restore_rest(self, session: Session) -> None:
        """At the first boundary, when set-up has drawn what it wanted: gradients, and all random state."""
        if self.loaded is None:
            return
        if session.training is not None:
            session.training.restore_gradients(self.loaded["gradients"])
        session.streams.load_state_dict(self.loaded["random"]["streams"])
        restore_global_state(self.loaded["random"]["global"])
        self.loaded = None  # let the memory go


def state(session: Any) -> dict[str, Any]:
    """All that a checkpoint holds but the detectors' part: the state before the session's present step."""
    training = session.training
    covered = session.framework.covered() if session.framework is not None else set()
    return {
        "version": 1,
        "step": session.step,
        "watermark": session.watermark,
        "config": flat(session.config),
        "beside": dict(session.desk.beside),
        "objects": {n: thing.state_dict() for n, thing in training.stateful() if id(thing) not in covered},
        "gradients": training.gradients(),
        "framework": session.framework.state_dict() if session.framework is not None else None,
        "rules": session.rules.state_dict() if session.rules is not None else None,
        "random": {"global": global_state(), "streams": session.streams.state_dict()},
    }


def exactness(session: Session) -> dict[str, Any]:
    """Whether this run can be repeated to the bit, and the line that says so, or why not."""
    doubts = list(session.framework.doubts()) if session.framework is not None else []
    if session.keeper is not None:
        session.keeper.look(state(session))
        doubts += [f"{place} is a {kind}, which no checkpoint holds" for place, kind in session.keeper.left_out.items()]
    if session.beginning.differs:
        doubts.append(f"this machine differs from the recorded one ({'; '.join(session.beginning.differs)})")
    torch = sys.modules.get("torch")
    if torch is not None and session.training is not None:
        on_gpu = any(p.is_cuda for m in session.training.modules.values() for p in m.parameters())
        where = torch.cuda.get_device_name(0) if on_gpu else "CPU"
        if on_gpu and not torch.are_deterministic_algorithms_enabled():
            doubts.append("some CUDA kernels add up in any order (torch.use_deterministic_algorithms(True) forbids it)")
        threads = torch.get_num_threads()
        kind = f"{where}, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__}"
    else:
        kind = f"NumPy {np.__version__}"
    if doubts:
        return {"ok": False, "text": f"Bit-for-bit replay is not promised: {'; '.join(doubts)}."}
    own = "" if session.known else ", as far as its state is registered and its randomness the session's"
    return {"ok": True, "text": f"Replays bit for bit on this kind of machine ({kind}){own}."}


def _launch(control: Any) -> bool:
    return control is not None and control.when == "launch"


def _earlier(run: Run, first: int) -> dict[str, dict[int, float]]:
    """What earlier attempts recorded from step `first` on, to be held against what comes now."""
    found: dict[str, dict[int, float]] = {}
    room = _MOST_COMPARED
    for name, kind in run.reader.names().items():
        signal = run.card.signal(name) if run.card else None
        if kind != "scalar" or (signal is not None and not signal.deterministic) or room <= 0:
            continue
        points = run.reader.scalars(name, first)
        room -= len(points)
        found[name] = dict(zip(points.steps.tolist(), points.values.tolist(), strict=True))
    return found


def _last_time(run: Run) -> float:
    last = run.step
    names = [n for n, kind in run.reader.names().items() if kind == "scalar"]
    return max((float(t) for n in names for t in run.reader.scalars(n, last, last).times), default=0.0)


def _differs(run: Run) -> list[str]:
    """What differs from the machine and versions of the run that this one continues or repeats."""
    source = run
    if not run.dir.journal.exists():
        other = run.replay_of or run.parent
        folder = RunDir(run.dir.path.parent / other)
        if not other or not folder.journal.exists():
            return []
        source = Run.open(folder)
    return differences(source.reader.meta.get("environment") or {})
