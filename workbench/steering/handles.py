"""What a method gives its session to hold and asks of it: objects, actions, probes, random streams."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from workbench.cards import Control, NotAllowed
from workbench.cards.controls import put
from workbench.cards.guard import Guard
from workbench.journal import RunDir, Writer
from workbench.steering import checkpoints
from workbench.steering.commands import Desk
from workbench.steering.randomness import Streams, unnoticed
from workbench.steering.recorder import Recorder
from workbench.steering.travel import Beginning, state

if TYPE_CHECKING:
    from workbench.steering.guards import LossGuard


class Handles:
    """The part of a session that methods call; `Session` adds its life, its steps and its commands."""

    rundir: RunDir
    config: Any
    tree: dict[str, Any]
    writer: Writer
    recorder: Recorder
    desk: Desk
    beginning: Beginning

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.streams = Streams(seed)
        self.training: Any = None  # the torch side, made when something is registered
        self.keeper: checkpoints.Keeper | None = None  # made then, too
        self.watermark = 0  # id of the last recorded command that has taken effect
        self._step = 0
        self._actions: dict[str, Callable[[], None]] = {}
        self._probes: dict[str, Callable[[], None]] = {}
        self._looks: list[tuple[str, int]] = []  # probes that are switched on
        self._open = False  # whether a first step has begun
        self._guard: LossGuard | None = None

    @property
    def step(self) -> int:
        """The step being trained: training batches started, from 0."""
        return self._step

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
            self._keep_checkpoints()
        self.training.register(objects)
        implicit = self.training.implicit_controls(self.desk.controls)
        self.desk.controls.update(implicit)
        self.desk.beside.update({name: control.default for name, control in implicit.items()})
        self._publish_controls()

    def guard(self) -> LossGuard:
        """The run's guard against anomalous batches; see `SessionProtocol.guard`."""
        if self._guard is None:
            from workbench.steering.guards import LossGuard

            if self._open:
                raise NotAllowed("Ask for session.guard() before the first step, or a checkpoint does not hold it.")
            self.register()  # there is something to register with, even if this is the first
            declared = getattr(self.config, "guard", None)
            self._guard = LossGuard(
                self.training,
                declared if isinstance(declared, Guard) else Guard(),
                lambda: self._step,
                lambda step: self.rng("method", "guard", step),
                own=not isinstance(declared, Guard),
            )
            self.register(guard=self._guard)
        return self._guard

    def _keep_checkpoints(self) -> None:
        self.desk.controls.update({c.name: c for c in checkpoints.CONTROLS})
        self.desk.beside.update(checkpoints.settings_of(self.tree))
        self.keeper = checkpoints.Keeper(
            self.rundir.checkpoints, self.writer, self.recorder, self.beginning.rows, self.desk.beside
        )

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
        if self.keeper is None:
            self.recorder.complain("Nothing is registered, so there is nothing to save in a checkpoint.")
        else:
            self.save("asked")

    def save(self, kind: str, *, wait: bool = False) -> None:
        """Take a checkpoint, if anything is registered; what goes wrong is said, and training goes on."""
        if self.keeper is None:
            return
        try:
            self.keeper.take(self._step, self.watermark, state(self), kind, wait=wait)
        except Exception as error:  # noqa: BLE001 (a state_dict of anybody's)
            self.recorder.complain(f"No checkpoint was taken: {type(error).__name__}: {error}")

    def _look(self, name: str) -> None:
        look = self._probes.get(name)
        if look is not None:
            with self.isolated():
                look()

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
