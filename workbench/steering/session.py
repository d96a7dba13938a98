"""The session around one training: the only way in for commands and the only way out for what is emitted."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from workbench import signals
from workbench.cards import Control, NotAllowed, StoreError, controls_of
from workbench.cards.controls import flat, put
from workbench.journal import CommandRecord, Inbox, Reader, RunDir, RunLock, Writer
from workbench.steering.commands import Desk
from workbench.steering.failures import in_words
from workbench.steering.randomness import Streams, seed_everything, unnoticed
from workbench.steering.recorder import Recorder

POLL_SECONDS = 0.02
_current: Session | None = None


class Stopped(BaseException):
    """Raised inside a training framework's loop to leave it when the run is told to stop; not an error."""


def current() -> Session | None:
    """The session of this process, if one is open."""
    return _current


class Session:
    """One run being trained in this process. Use it as a context manager; see `SessionProtocol` for what methods call.

    Args:
        rundir: the run's folder; its lock is taken here.
        config: the configuration object that training reads; changed in place at boundaries.
        tree: the resolved configuration as plain data (`config.yaml`).
        detectors: run on the flush thread.
        probes: those declared by the card, with their cadence in steps (0: only when asked).
        meta: recorded in the journal.

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
    ) -> None:
        self.rundir, self.config, self.tree = rundir, config, dict(tree)
        self.seed = int(tree.get("seed", 0))
        self.streams = Streams(self.seed)
        self.total: int | None = None
        self.training: Any = None  # the torch side, made when something is registered
        self.stopping = False
        self.paused = False
        self._meta = dict(meta or {})
        self._detectors = detectors
        self._actions: dict[str, Callable[[], None]] = {}
        self._probes: dict[str, Callable[[], None]] = {}
        self._cadences = dict(probes or {})
        self._looks: list[tuple[str, int]] = []  # probes that are switched on
        self._step = 0
        self._open = False  # whether a first step has begun
        self._inside = False  # between a boundary and the next: too late for commands of this step
        self.watermark = 0  # number of the last recorded command that has taken effect
        self._budget: int | None = None  # steps still allowed by `step` commands
        self._polled = 0.0
        self._seen = 0
        self._isolated = 0
        self._pid = os.getpid()
        self._thread = threading.get_ident()
        self._finished = False

    # -- life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        global _current
        if _current is not None and _current._pid == os.getpid():
            raise NotAllowed("This process already has a session; one process trains one run.")
        self._lock = RunLock.acquire(self.rundir.lock)
        try:
            self._begin()
        except BaseException:
            self._lock.release()
            raise
        _current = self
        return self

    def _begin(self) -> None:
        attempt = 1 + int(Reader(self.rundir).meta.get("attempt", -1)) if self.rundir.journal.exists() else 0
        self.writer = Writer(self.rundir, {**self._meta, "attempt": attempt}, attempt=attempt)
        self.writer.set_state("starting")
        self.inbox = Inbox(self.rundir)
        self.desk = Desk(
            controls=controls_of(self.config),
            config=self.config,
            veto=self._veto,
            attempt=attempt,
        )
        for name, every in self._cadences.items():
            self._declare_probe(name, every)
        self.recorder = Recorder(
            self.writer, self._detectors, seconds=float(self.tree.get("run", {}).get("flush_ms", 250)) / 1000
        )
        self.recorder.controls(0, {n: v for n, v in flat(self.config).items() if n in self.desk.controls})
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
            self._expire()
            if self.training is not None:
                self.writer.set_meta("weights", self.training.weight_hashes())
            self.recorder.close(self._step)
            self.writer.close(state, message)
        finally:
            self._lock.release()

    def _expire(self) -> None:
        self.desk.receive(self.inbox.after(self._seen), self._step + 1)
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

    @property
    def step(self) -> int:
        """The step being trained: training batches started, from 0."""
        return self._step

    def steps(self, total: int) -> Iterator[int]:
        """Steps 0 … total-1 of a plain loop; commands are applied, and pauses kept, between them.

        The loop ends early, without an exception, when the run is told to stop.
        """
        if total < 1:
            raise NotAllowed(f"steps() needs at least 1 step; got {total}.")
        self.start(total)
        for step in range(total):
            try:
                self.boundary(step)
            except Stopped:
                return
            yield step
        self.recorder.close_step(self._step, time.time())

    def start(self, total: int | None) -> None:
        """Say that training begins, for `total` steps (None: unknown)."""
        self.total = total
        self.writer.set_meta("steps", total)
        self.writer.set_state("running", step=0)

    def boundary(self, step: int, *, window: bool = True) -> None:
        """Everything that happens before step `step`; raises `Stopped` if the run is to end here.

        `window` is False inside an accumulation window, where sets and actions wait for its end.
        """
        now = time.time()
        if self._open:
            self.recorder.close_step(self._step, now)
        self._open, self._inside = True, False
        self._step = step
        clock = time.monotonic()
        if clock - self._polled >= POLL_SECONDS:
            self._polled = clock
            self._receive()
        if self.desk.waiting:
            self._apply(self.desk.due(step, window=window))
        if self.paused or self._budget == 0:
            self._wait()
        if self.stopping:
            raise Stopped
        if self._budget is not None:
            self._budget -= 1
        self._inside = True
        for name, every in self._looks:
            if step % every == 0:
                self._look(name)

    def stage(self, name: str, index: int, *, open_to_commands: bool = True) -> None:
        """Mark the boundary of a stage (epoch, task); controls declared for it take effect now.

        `open_to_commands` is False for a boundary at which it is too late to change them.
        """
        self._note(self.writer.event, "stage", {"name": name, "index": index}, step=self._step)
        if not open_to_commands:
            return
        self._receive()
        if self.desk.waiting:
            self._apply(self.desk.due(self._step, stage=name))

    def _receive(self) -> None:
        if self.inbox.changed():
            commands = self.inbox.after(self._seen)
            if commands:
                self._seen = commands[-1].seq
                self.desk.receive(commands, self._step + self._inside)

    def _apply(self, commands: list[Any]) -> None:
        if not commands:
            return
        halting = self.paused or self._budget is not None
        records = self.desk.decide(commands, self._step, paused=halting)
        try:
            self.writer.record_commands(records)
        except StoreError as error:  # what is not on disk does not take effect; the commands wait for another try
            self.recorder.complain(str(error))
            self.desk.waiting[:0] = commands
            return
        for record in records:
            if record.outcome == "applied":
                self._effect(record)
            self.watermark = record.seq

    def _effect(self, record: CommandRecord) -> None:
        match record.kind:
            case "set":
                for name, value in record.new.items():
                    self._put(name, value, record.old[name])
                self.recorder.controls(self._step, dict(record.new))
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

    def _put(self, name: str, value: Any, old: Any) -> None:
        if name in self.desk.beside:
            self.desk.beside[name] = value
            self._switch_probes()
        else:
            put(self.config, name, value)
        if self.training is not None:
            self.training.moved(name, value, old)

    def _veto(self, name: str, value: Any) -> str | None:
        return self.training.veto(name, value) if self.training is not None else None

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            self._note(self.writer.set_state, "paused", step=self._step)

    def _resume(self) -> None:
        if self.paused:
            self.paused = False
            self._note(self.writer.set_state, "running", step=self._step)

    def _wait(self) -> None:
        """Stand before the open step until resumed or stopped; every command works meanwhile."""
        if self._budget == 0:
            self._budget = None
            self._pause()
        self.recorder.flush()
        while self.paused and not self.stopping:
            time.sleep(POLL_SECONDS)
            self._receive()
            if self.desk.waiting:
                self._apply(self.desk.due(self._step))

    def _note(self, write: Callable[..., Any], *values: Any, **named: Any) -> None:
        """Record something that training does not depend on: a full disk is said, and training goes on."""
        try:
            write(*values, **named)
        except StoreError as error:
            self.recorder.complain(str(error))

    def _look(self, name: str) -> None:
        look = self._probes.get(name)
        if look is not None:
            with self.isolated():
                look()

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

    def rng(self, name: str, *keys: int | str) -> Any:
        """A NumPy generator = f(seed, name, keys); see `SessionProtocol.rng`."""
        return self.streams.numpy(name, *keys)

    def torch_rng(self, name: str, *keys: int | str, device: str = "cpu") -> Any:
        """The torch twin of `rng`."""
        return self.streams.torch(name, *keys, device=device)

    @contextlib.contextmanager
    def isolated(self, *modules: Any) -> Iterator[None]:
        """Own random state, modules (default: all registered) in eval mode, buffers restored afterwards."""
        if not modules and self.training is not None:
            modules = tuple(self.training.modules.values())
        with unnoticed(self.seed, self._step, modules):
            yield

    def register(self, **objects: Any) -> None:
        """Objects to steer, to hash at the end and to checkpoint: anything with state_dict and load_state_dict.

        Name optimizers ``optimizer`` (or the names under ``Config.optimizer``) and pass schedulers too, so that a
        moved learning rate moves the schedule with it.
        """
        from workbench.steering.training import Training

        if self.training is None:
            self.training = Training()
        self.training.register(objects)
        implicit = self.training.implicit_controls(self.desk.controls)
        self.desk.controls.update(implicit)
        self.desk.beside.update({name: control.default for name, control in implicit.items()})
        self._publish_controls()

    def _publish_controls(self) -> None:
        self.writer.set_meta("controls", {n: dataclasses.asdict(c) for n, c in self.desk.controls.items()})

    def action(self, name: str, run: Callable[[], None]) -> None:
        """What to do when the action `name` is pressed."""
        self._actions[name] = run
        self.desk.actions.add(name)

    def probe(self, name: str, run: Callable[[], None]) -> None:
        """What to do, isolated, when the probe `name` is asked for."""
        self._probes[name] = run
        if name not in self.desk.probes:
            self._declare_probe(name, 0)
            self._publish_controls()

    def _declare_probe(self, name: str, every: int) -> None:
        control = Control(
            name=f"probes.{name}", kind="int", default=every, min=0, max=10**9, label=f"{name} every", unit="steps",
            group="Probes", help="0: only when asked",
        )  # fmt: skip
        self.desk.probes.add(name)
        self.desk.controls[control.name] = control
        self.desk.beside[control.name] = every
        self._switch_probes()

    def _switch_probes(self) -> None:
        cadences = ((name, self.desk.beside[f"probes.{name}"]) for name in sorted(self.desk.probes))
        self._looks = [(name, every) for name, every in cadences if every]

    def checkpoint(self) -> None:
        """Save the state of everything registered, and all random state, now."""
        from workbench.steering.checkpoints import save

        if self.training is None:
            self.writer.event("warning", {"text": "Nothing is registered, so there is nothing to checkpoint."})
            return
        self.recorder.flush()
        save(self)
