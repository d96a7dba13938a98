"""The session as a method sees it. The session itself lives in `workbench.steering`; a method is handed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from workbench.cards.guard import GuardProtocol


class SessionProtocol(Protocol):
    """What a method may ask of its session."""

    config: Any
    seed: int

    @property
    def step(self) -> int:
        """The step being trained: training batches started, from 0."""

    def steps(self, total: int) -> Iterator[int]:
        """Steps of a plain loop; at each boundary commands are applied, checkpoints taken, pauses kept."""

    def rng(self, name: str, *keys: int | str) -> Any:
        """A NumPy generator that depends on (seed, name, keys) alone.

        With keys (epoch, index) it is fresh at each call; without, it is one stream whose state is in the checkpoints.
        Names: init, data, augment, method, eval.
        """

    def torch_rng(self, name: str, *keys: int | str, device: str = "cpu") -> Any:
        """The torch twin of `rng`: a `torch.Generator`."""

    def isolated(self, *modules: Any) -> AbstractContextManager[None]:
        """Evaluation, probes and figures run in here: own random state, modules in eval mode, buffers restored."""

    def stage(self, name: str, index: int) -> None:
        """Mark the boundary of a stage (epoch, task); controls declared for it take effect now."""

    def register(self, **objects: Any) -> None:
        """Objects with `state_dict` and `load_state_dict` (model, optimizer, schedule) to steer and to checkpoint."""

    def action(self, name: str, run: Callable[[], None]) -> None:
        """What to do when the card's action of that name is pressed."""

    def probe(self, name: str, run: Callable[[], None]) -> None:
        """What to do, isolated, when the card's probe of that name is asked for; it emits what it found."""

    def guard(self) -> GuardProtocol:
        """The run's guard against anomalous batches; ask for it before the first step, switched on or off.

        Its controls (`Guard`, group "Guard") are live from then on. A loop that asks ``guard.batch`` which batch to
        train on and ``guard.passes`` whether to update has spikes skipped, tried again and rolled back; off, which it
        is by default, both hand everything through.
        """
