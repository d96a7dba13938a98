"""The session around one training: the only way in for commands and the only way out for what is emitted."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from workbench import signals
from workbench.cards import NotAllowed, StoreError, controls_of
from workbench.journal import Command, CommandRecord, Inbox, RunDir, RunLock, Writer
from workbench.runs.run import Run
from workbench.steering.commands import Desk
from workbench.steering.failures import in_words
from workbench.steering.following import follow
from workbench.steering.handles import Handles
from workbench.steering.randomness import seed_everything
from workbench.steering.recorder import Recorder
from workbench.steering.travel import Beginning, Framework, exactness

if TYPE_CHECKING:
    from workbench.steering.rules import Rules

POLL_SECONDS = 0.02
_current: Session | None = None


class Stopped(BaseException):
    """Raised inside a training framework's loop to leave it when the run is told to stop; not an error."""


def current() -> Session | None:
    """The session of this process, if one is open."""
    return _current


class Session(Handles):
    """One run being trained in this process. Use it as a context manager; see `SessionProtocol` for what methods call.

    Args:
        rundir: the run's folder; its lock is taken here.
        config: the configuration object that training reads; changed in place at boundaries.
        tree: the resolved configuration as plain data (`config.yaml`).
        detectors: run on the flush thread.
        probes: those declared by the card, with their cadence in steps (0: only when asked).
        meta: recorded in the journal.
        lock: the run's lock, if this process holds it already.
        known: whether the workbench builds the whole training from a card, so that nothing is out of its sight.

    Raises:
        NotAllowed: if another process holds the run, or this process already has a session.
    """

    def __init__(
        self,
        rundir: RunDir,
        config: Any,
        *,
        tree: Mapping[str, Any],
        detectors: tuple[Any, ...] = (),
        probes: Mapping[str, int] | None = None,
        meta: Mapping[str, Any] | None = None,
        known: bool = False,
        lock: RunLock | None = None,
    ) -> None:
        self.rundir, self.config, self.tree, self.known = rundir, config, dict(tree), known
        super().__init__(int(tree.get("seed", 0)))
        self.total: int | None = None
        self.framework: Framework | None = None  # what trains inside, if it keeps state of its own
        self.rules: Rules | None = None
        self.rebuilding = False  # left at a fork's step, to be built anew
        self.stopping = False
        self.paused = False
        self._given_lock = lock
        self._meta = dict(meta or {})
        self._detectors = detectors
        self._spares = copy.deepcopy(detectors) if self.tree.get("rules") else ()  # for the rules, before any value
        self._cadences = dict(probes or {})
        self._inside = False  # between a boundary and the next: too late for commands of this step
        self._budget: int | None = None  # steps still allowed by `step` commands
        self._polled = 0.0
        self._seen = 0
        self._traveling = True  # until the first new step
        self.replayed: tuple[int, list[dict[str, Any]]] = -1, []  # step, and what commands re-applied there carried
        self._pid = os.getpid()
        self._finished = False

    # -- life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        global _current
        if _current is not None and _current._pid == os.getpid():
            raise NotAllowed("This process already has a session; one process trains one run.")
        self.lock = self._given_lock or RunLock.acquire(self.rundir.lock)
        try:
            self._begin()
        except BaseException:
            self.lock.release()
            raise
        _current = self
        return self

    def _begin(self) -> None:
        self.beginning = Beginning(Run(self.rundir, self.tree))
        attempt = self.beginning.attempt
        self.watermark = self.beginning.plan.watermark
        self.writer = Writer(self.rundir, {**self._meta, "attempt": attempt}, attempt=attempt)
        self.writer.set_state("starting", self.beginning.words())
        for text in self.beginning.damaged:
            self.writer.event("warning", {"text": text})
        self.inbox = Inbox(self.rundir)
        self.desk = Desk(
            controls=controls_of(self.config),
            config=self.config,
            veto=self._veto,
            attempt=attempt,
            hold=self.beginning.hold,
            alive_until=self.beginning.alive_until,
        )
        for name, every in self._cadences.items():
            self._declare_probe(name, every)
        self.recorder = Recorder(
            self.writer, self._detectors, seconds=float(self.tree.get("run", {}).get("flush_ms", 250)) / 1000
        )
        self._publish_controls()
        self._ask_for_mirror()
        seed_everything(self.seed)
        signals.listen(self._listen)

    def _ask_for_mirror(self) -> None:
        """Name where the copy in MLflow goes, and see to it that a process makes it; training never waits for one."""
        if self.tree.get("tracking", {}).get("mlflow"):
            from workbench.tracking import default_uri, ensure_mirror

            store = self.rundir.path.parent
            self.writer.set_meta("tracking_uri", default_uri(store))
            ensure_mirror(store)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self.close("stopped" if self.stopping else "finished")
        elif isinstance(error, Stopped):
            self.close("stopped")
            return True
        else:
            self.fail(error)
        return False

    def fail(self, error: BaseException) -> None:
        """End the run as failed (or stopped, after a keyboard interrupt), keeping data and traceback."""
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted or isinstance(error, Stopped):
            self.close("stopped", "interrupted from the keyboard" if interrupted else "")
            return
        text = "".join(traceback.format_exception(error))
        message = in_words(error)
        if not self._finished:
            self.writer.event("error", {"text": message, "traceback": text}, step=self._step)
        self.close("failed", message)

    def close(self, state: str, message: str = "") -> None:
        """End the run in a final state; a second call does nothing."""
        global _current
        if self._finished:
            return
        self._finished = True
        if os.getpid() != self._pid:
            return
        self.recorder.close_step(self._step, time.time())
        signals.listen(None)
        _current = None
        try:
            if self.keeper is not None:
                self.keeper.close()
            if not self.rebuilding:
                self._expire(finished=state == "finished")
                if self.training is not None:
                    self.writer.set_meta("weights", self.training.weight_hashes())
            self.recorder.close(self._step, ended=not self.rebuilding)
            self.writer.close(None if self.rebuilding else state, message)
        finally:
            if not self.rebuilding:  # or somebody would think it lost
                self.lock.release()

    def _expire(self, *, finished: bool) -> None:
        """Say of commands that nobody will take any more that they came too late.

        Those for a certain step wait on when the run may still be resumed.
        """
        self.desk.receive(self._unseen(), self._step + 1)
        if not finished:
            self.desk.waiting = [c for c in self.desk.waiting if c.at_step is None or c.seq in self.desk.late]
        records = self.desk.decide(self.desk.waiting, self._step, paused=False)
        ended = [
            r
            if r.outcome == "refused"
            else dataclasses.replace(r, outcome="expired", reason="the run had ended", new={})
            for r in records
        ]
        if ended:
            self.writer.record_commands(ended)

    # -- steps --------------------------------------------------------------------------------------------------------

    def steps(self, total: int) -> Iterator[int]:
        """Steps 0 … total-1 of a plain loop; commands are applied, and pauses kept, between them.

        The loop ends early, without an exception, when the run is told to stop.
        """
        if total < 1:
            raise NotAllowed(f"steps() needs at least 1 step; got {total}.")
        self.start(total)
        rebuild = self.beginning.rebuild_at
        for step in range(self.beginning.first, total if rebuild is None else max(total, rebuild + 1)):
            try:
                self.boundary(step)
            except Stopped:
                return
            yield step
        self.recorder.close_step(self._step, time.time())

    def start(self, total: int | None) -> None:
        """Say that training begins, for `total` steps (None: unknown), from the state where it is to begin."""
        begin = self.beginning
        self.set_length(total)
        begin.restore_config(self)
        self._switch_probes()
        begin.restore_objects(self)
        self.recorder.begin(begin.record_from, begin.earlier, (begin.loaded or {}).get("detectors"))
        values = {n: self.desk.value(n) for n in self.desk.controls}
        self.recorder.controls(begin.first, values)
        if declared := self.tree.get("rules"):
            from workbench.steering.rules import Rules

            self.rules = Rules(declared, self.desk.controls, self._spares, values)
            if begin.loaded:
                self.rules.load_state_dict(begin.loaded.get("rules") or {})
        said = exactness(self)
        self.writer.set_meta("exact", said)
        if begin.differs:
            self.writer.event("warning", {"text": said["text"]})
        if begin.hold <= begin.first:
            self.writer.set_state("running", step=begin.first)

    def set_length(self, total: int | None) -> None:
        """Say how many steps there are to train; None: unknown."""
        self.total = total
        self.writer.set_meta("steps", total)

    def _tell_controls(self, step: int, values: dict[str, Any]) -> None:
        self.recorder.controls(step, values)
        if self.rules is not None:
            self.rules.control_changed(step, values)

    def boundary(self, step: int, *, window: bool = True) -> None:
        """Everything that happens before step `step`; raises `Stopped` if the run is to end here.

        `window` is False inside an accumulation window, where sets and actions wait for its end.
        """
        now = time.time()
        if self._open:
            if self.rules:
                self.rules.observe(self._step, self.recorder.row)
            self.recorder.close_step(self._step, now)
        self._open, self._inside = True, False
        self._step = step
        clock = time.monotonic()
        if self._traveling:
            self._travel(step)
        if self.keeper is not None and self.keeper.due(step, clock) and step >= self.beginning.record_from:
            self.save("periodic")
        if self.rules:
            follow(self, step)
        if clock - self._polled >= POLL_SECONDS:
            self._polled = clock
            self.receive()
        if self.desk.waiting:
            self._apply(self.desk.due(step, window=window))
        if self.paused or self._budget == 0:
            self._wait()
        if self.stopping:
            if self.keeper is not None and step > 0:
                self.save("stop")
            raise Stopped
        if self._budget is not None:
            self._budget -= 1
        self._inside = True
        for name, every in self._looks:
            if step % every == 0:
                self._look(name)

    def stage(self, name: str, index: int, *, before: int | None = None, open_to_commands: bool = True) -> None:
        """Mark the boundary of a stage (epoch, task) before step `before` (default: the one that is open).

        Controls declared for it take effect now; `open_to_commands` is False where it is too late to change them.
        """
        step = self._step if before is None else before
        if step >= self.beginning.record_from:
            self.note(self.writer.event, "stage", {"name": name, "index": index}, step=step)
        if not open_to_commands:
            return
        self._replay(step, name)
        self.receive()
        if self.desk.waiting:
            self._apply(self.desk.due(step, stage=name), step)

    def _travel(self, step: int) -> None:
        """On the way to the first new step: let the recorded commands of this one take effect again."""
        begin = self.beginning
        if step == begin.first:
            begin.restore_rest(self)
        self._replay(step)
        if step < begin.hold:
            return
        if begin.forked:
            self.save("fork", wait=begin.rebuild_at == step)
            live = {n: self.desk.value(n) for n, c in self.desk.controls.items() if c.when != "launch"}
            self.note(self.writer.set_meta, "values_at_fork", live)  # the parent may be deleted one day
        if begin.rebuild_at == step:
            self._leave_to_be_rebuilt()
        if begin.hold > begin.first:
            self.note(self.writer.set_state, "running", step=step)
        self._traveling = False

    def _leave_to_be_rebuilt(self) -> None:
        if self.keeper is None or not self.keeper.has(self._step):
            raise StoreError(
                f"The state before step {self._step:,} could not be saved, and what this fork changes is decided at "
                f"launch, so it cannot be built from it."
            )
        self.rebuilding = self.stopping = True
        raise Stopped

    def _replay(self, step: int, stage: str = "") -> None:
        records = self.beginning.effects(step, stage, self.desk.stage_of)
        self.replayed = step, [record.payload for record in records]
        for record in records:
            self._effect(record)
            if self.beginning.resumed and record.id > self.watermark:
                self.watermark = record.id

    def look_at_once(self) -> None:
        """Look for commands at this boundary, however short ago the last look was."""
        self._polled = float("-inf")

    def _unseen(self) -> list[Command]:
        """Commands that came since the last look and were not decided by an earlier attempt."""
        commands = self.inbox.after(self._seen)
        if commands:
            self._seen = commands[-1].seq
        return [c for c in commands if c.seq not in self.beginning.decided]

    def receive(self) -> None:
        """Take in the commands that have come."""
        if self.inbox.changed():
            self.desk.receive(self._unseen(), self._step + self._inside)

    def _apply(self, commands: list[Any], step: int | None = None) -> None:
        if not commands:
            return
        halting = self.paused or self._budget is not None
        records = self.desk.decide(commands, self._step if step is None else step, paused=halting)
        try:
            records = self.writer.record_commands(records)
        except StoreError as error:  # what is not on disk does not take effect; the commands wait for another try
            self.recorder.complain(str(error))
            self.desk.waiting[:0] = commands
            return
        for record in records:
            if record.outcome == "applied":
                self._effect(record)
            self.watermark = record.id

    def _effect(self, record: CommandRecord) -> None:
        match record.kind:
            case "set":
                for name, value in record.new.items():
                    self._put(name, value, record.old[name])
                self._tell_controls(record.step or self._step, dict(record.new))
            case "action":
                self._actions[record.payload["name"]]()
            case "probe":
                self._look(record.payload["name"])
            case "pause":
                self._pause()
            case "resume":
                self._budget = None
                self._resume()
            case "step":
                self._budget = (self._budget or 0) + record.payload.get("count", 1)
                self._resume()
            case "checkpoint":
                self.checkpoint()
            case "stop":
                self.stopping = True

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.note(self.writer.set_state, "paused", step=self._step)

    def _resume(self) -> None:
        if self.paused:
            self.paused = False
            self.note(self.writer.set_state, "running", step=self._step)

    def _wait(self) -> None:
        """Stand before the open step until resumed or stopped; every command works meanwhile."""
        if self._budget == 0:
            self._budget = None
            self._pause()
        self.recorder.flush()
        while self.paused and not self.stopping:
            time.sleep(POLL_SECONDS)
            self.receive()
            if self.desk.waiting:
                self._apply(self.desk.due(self._step))

    def note(self, write: Callable[..., Any], *values: Any, **named: Any) -> None:
        """Record something that training does not depend on: a full disk is said, and training goes on."""
        try:
            write(*values, **named)
        except StoreError as error:
            self.recorder.complain(str(error))

    # -- what methods call --------------------------------------------------------------------------------------------

    def _listen(self, name: str, value: Any) -> None:
        if os.getpid() != self._pid:
            signals.listen(None)
            warnings.warn(
                "emit() was called in a child process (a data loader's worker?); nothing is recorded from there.",
                stacklevel=3,
            )
            return
        self.recorder.put(name, value)
