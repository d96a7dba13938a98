"""The guard itself: judges each loss before its update, skips, tries again, and stops a run that skips too much."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.cards import Control, NotAllowed, controls_of
from workbench.cards.controls import plain
from workbench.cards.guard import Guard
from workbench.signals import emit
from workbench.steering.guards import undo
from workbench.steering.guards.judge import Judge

if TYPE_CHECKING:
    from workbench.steering.training import Training

SPAN = 100  # batches over which the skipped ones are counted
_ROOT = "guard."
_Batch = TypeVar("_Batch")


class LossGuard:
    """See `workbench.cards.guard.GuardProtocol`; registered with the session, so that it is in every checkpoint.

    Args:
        training: what is registered: whose buffers, updates and rates are at stake.
        settings: the knobs, read at each step; `own`: no configuration holds them.
        step: the open step.
        rng: random generator of a step, a function of the run's seed.
    """

    def __init__(
        self, training: Training, settings: Guard, step: Callable[[], int], rng: Callable[[int], Any], *, own: bool
    ) -> None:
        self.settings, self.own = settings, own
        self.judge = Judge()
        self.waiting: list[tuple[int, Any]] = []  # skipped batches, and the step from which each may come again
        self.skipped: deque[int] = deque(maxlen=SPAN)  # of the last batches, 1 for each that was skipped
        self.width = 0  # losses in a row that stand out
        self.before: dict[str, Any] | None = None  # the state before the last update, for rolling back
        self._training, self._step, self._rng = training, step, rng
        self._batch: Any = None
        self._again = False
        self._buffers: dict[str, Any] = {}
        self._end_lower: Callable[[], None] | None = None

    # -- what a loop asks ---------------------------------------------------------------------------------------------

    def batch(self, fresh: _Batch) -> _Batch:
        """See `GuardProtocol.batch`."""
        if self._end_lower is not None:
            self._end_lower()
            self._end_lower = None
        handler = self.settings.handler
        if handler == "off":
            return fresh
        due = next((i for i, (step, _) in enumerate(self.waiting) if step <= self._step()), None)
        self._again = due is not None and "retry" in handler
        self._batch = self.waiting.pop(due)[1] if self._again and due is not None else fresh
        self._buffers = {} if handler == "watch" else undo.buffers(self._training)
        return self._batch  # type: ignore[no-any-return]

    def passes(self, loss: Any) -> bool:
        """See `GuardProtocol.passes`."""
        handler = self.settings.handler
        if handler == "off":
            return True
        score = self.judge.score(float(loss.detach() if hasattr(loss, "detach") else loss))
        spike = score > self.settings.spike_z
        self.width = self.width + 1 if spike else 0
        lower = spike and self._again and handler == "skip_retry_lr" and score < float("inf")
        skip = spike and not lower and handler != "watch"
        self.skipped.append(int(skip and not self._again))
        rolled = self._skip(handler) if skip else False
        if lower:
            self._end_lower = undo.lower_once(self._training, self.settings.lr_backoff)
        if not skip:
            keep = self.settings.rollback and handler != "watch"
            self.before = undo.before_update(self._training, self._standing()) if keep else None
        emit("guard_z", min(score, 1e6))
        emit("guard_width", self.width)
        emit("guard_skipped", int(skip))
        emit("guard_retried", int(self._again))
        emit("guard_waiting", len(self.waiting))
        emit("guard_lr_scale", self.settings.lr_backoff if lower else 1.0)
        emit("guard_rolled_back", int(rolled))
        self._batch, self._again = None, False
        self._refuse()
        return not skip

    def _standing(self) -> dict[str, Any]:
        return self._buffers or undo.buffers(self._training)

    def _skip(self, handler: str) -> bool:
        """Leave no trace of the batch, put it aside if it is to come again; whether an update was taken back too."""
        undo.put_back(self._training, self._buffers)
        rolled = self.settings.rollback and self.before is not None
        if rolled and self.before is not None:
            undo.take_back(self._training, self.before)
        self.before = None
        if "retry" in handler and not self._again and self._batch is not None:
            step = self._step()
            delay = 1 + int(self._rng(step).integers(self.settings.retry_delay))
            self.waiting.append((step + delay, self._batch))
        return rolled

    def _refuse(self) -> None:
        most = self.settings.most_skipped
        if sum(self.skipped) > most * SPAN:
            raise NotAllowed(
                f"{sum(self.skipped)} % of batches are being skipped (of the last {SPAN}; guard.most_skipped allows "
                f"{100 * most:g} %): the data are broken, or the loss has moved to another level. Look at the batches "
                "from the first skipped step on, raise guard.spike_z, or set guard.handler to watch."
            )

    # -- what the session asks ----------------------------------------------------------------------------------------

    def controls(self) -> dict[str, Control]:
        """The knobs by their full names, at their present values."""
        return {_ROOT + n: replace(c, name=_ROOT + n) for n, c in controls_of(self.settings).items()}

    def veto(self, name: str, value: Any) -> str | None:
        """Why a knob cannot be set to `value` now; None: it can."""
        if name == _ROOT + "handler" and value == "skip_retry_lr" and not self._training.optimizers:
            return "No optimizer is registered, so its rate cannot be lowered; use skip_retry."
        if name == _ROOT + "rollback" and value and not self._training.modules:
            return "No module is registered, so no update can be taken back."
        return None

    def moved(self, name: str, value: Any, old: Any) -> None:
        """Take over a knob that no configuration holds."""
        if self.own and name.startswith(_ROOT):
            setattr(self.settings, name.removeprefix(_ROOT), value)

    def state_dict(self) -> dict[str, Any]:
        """Knobs (where no configuration holds them), recent losses, batches put aside, and what rolling back needs."""
        return {
            "settings": plain(self.settings) if self.own else {},
            "judge": self.judge.state_dict(),
            "waiting": list(self.waiting),
            "skipped": list(self.skipped),
            "width": self.width,
            "before": self.before,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in state["settings"].items():
            setattr(self.settings, name, value)
        self.judge.load_state_dict(state["judge"])
        self.waiting = [tuple(one) for one in state["waiting"]]
        self.skipped = deque(state["skipped"], maxlen=SPAN)
        self.width, self.before = state["width"], state["before"]
