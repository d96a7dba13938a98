"""The guard against anomalous batches: its knobs, and what a training loop asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from workbench.cards.controls import control

GROUP = "Guard"
HANDLERS = ("off", "watch", "skip", "skip_retry", "skip_retry_lr")
_Batch = TypeVar("_Batch")


@dataclass
class Guard:
    """What happens to a batch whose loss stands out (Ling, "Every FLOP Counts", 2025, §3.4.4); off by default.

    A `Config` may hold one in a field ``guard``, to have it in its command line and arms; without, a loop that asks for
    ``session.guard()`` brings these knobs along.
    """

    handler: str = control(
        "off", choices=HANDLERS, label="at a spike", group=GROUP,
        help="watch: only tell; skip: no update by that batch; skip_retry: and try it again later; skip_retry_lr: if "
        "it stands out again, update at a lower rate",
    )  # fmt: skip
    spike_z: float = control(
        6.0, min=3, max=20, label="spike above", unit="robust deviations", group=GROUP,
        help="above the median of the last 50 losses, in units of 1.4826 median absolute deviations",
    )  # fmt: skip
    retry_delay: int = control(
        20, min=5, max=100, label="try again within", unit="steps", group=GROUP,
        help="a skipped batch comes again after 1 to so many steps, at random, in place of that step's own",
    )  # fmt: skip
    lr_backoff: float = control(
        0.3, min=0.1, max=1, label="lower rate", group=GROUP,
        help="the learning rate of a step with a batch that stands out again is multiplied by it",
    )  # fmt: skip
    rollback: bool = control(
        False, label="roll back a step", group=GROUP,
        help="at a spike also take back the update before it, which may be what the spike shows. Keeps a copy of "
        "weights and optimizer",
    )  # fmt: skip
    most_skipped: float = control(
        0.1, min=0.01, max=1, label="at most skipped", group=GROUP,
        help="share of the last 100 batches; beyond it the run stops, so that broken data are not hidden",
    )  # fmt: skip


class GuardProtocol(Protocol):
    """The guard as a loop sees it; switched off it hands every batch through, and passes every loss unread.

    ``batch = guard.batch(batch)`` before the forward pass, ``if guard.passes(loss): loss.backward(); …`` after it.
    """

    def batch(self, fresh: _Batch) -> _Batch:
        """What to train on at this step: the batch given, or one that was skipped before and is tried again.

        A batch is whatever names it: tensors, arrays, numbers and text, in lists, tuples and dicts, which is what a
        checkpoint can hold.
        """

    def passes(self, loss: Any) -> bool:
        """Whether to update with this loss, a number or scalar tensor; asked once a step, before the backward pass.

        False: leave the optimizer and everything that an update moves alone. Buffers of the registered modules
        (running statistics, selection biases) are back where they stood before the forward pass. True may come with a
        lower rate in the registered optimizers, for one step of theirs.

        Raises:
            NotAllowed: more batches are being skipped than `Guard.most_skipped` allows.
        """
