"""Transformers: a callback that is the session inside a `Trainer`, and so inside the trainers of TRL."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any

from workbench.cards import MissingData, NotAllowed
from workbench.signals import emit
from workbench.steering.session import Session, Stopped
from workbench.steering.user import open_session

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise MissingData(
        "Steering a transformers Trainer needs the package transformers, which is not installed: "
        "pip install 'balance-workbench[rl]'."
    ) from error

from workbench.steering.grpo import GRPO, Batch, LengthPenalty
from workbench.steering.transformers_state import TrainerState, resumed

__all__ = ["LengthPenalty", "TransformersSteering", "fit"]

#: What TRL logs under names of its own → the names that detectors and charts know.
NAMES = {
    "completions/mean_length": "length",
    "completions/min_length": "length_min",
    "completions/max_length": "length_max",
    "completions/mean_terminated_length": "length_ended",
    "completions/clipped_ratio": "truncated",
    "frac_reward_zero_std": "group_zero_std",
    "clip_ratio/low_mean": "clipped_low",
    "clip_ratio/high_mean": "clipped_high",
}
#: Left out: the position, wall-clock times, and what the others say already.
UNTOLD = frozenset({
    "epoch", "step_time", "num_tokens", "clip_ratio/low_min", "clip_ratio/high_max", "clip_ratio/region_mean",
    "completions/min_terminated_length", "completions/max_terminated_length",
})  # fmt: skip


class TransformersSteering(TrainerCallback):
    """Steer and record a `transformers.Trainer`, TRL's included.

    ``trainer.add_callback(workbench.TransformersSteering(trainer, config))``, then ``trainer.train()`` as ever.

    A step is an optimizer step, from 0; commands take effect where one begins. What the Trainer logs is recorded at
    the step it logs it (``logging_steps=1``: at each). The optimizer is live in every Trainer, and in TRL's
    `GRPOTrainer` also beta, epsilon, epsilon_high, temperature and the weight of a `LengthPenalty`: by the fields of
    `config` that have these names, or by themselves where it has none.

    A checkpoint holds weights (of a LoRA model the trained ones), optimizer, schedule, random state, the Trainer's
    position and TRL's buffered rollouts. It holds no state of reward functions, loader workers or the fp16 loss scale;
    the run says at its start where the same bits are therefore not promised.

    Args:
        trainer: to steer; its `train` opens the session, and closes it however training ends.
        config: a dataclass with controls, changed in place; None: the controls above only.
        experiment: name of the experiment in the store; default ``my/<trainer's class>``.
        session: an open session to use instead of making one.

    `train` raises `NotAllowed` if several processes train, which cannot be steered together, and `Stopped` if the run
    is told to stop.
    """

    def __init__(
        self,
        trainer: Any,
        config: Any = None,
        experiment: str | None = None,
        *,
        session: Session | None = None,
        **options: Any,
    ) -> None:
        self.trainer, self.config, self.options = trainer, config, options
        self.experiment = experiment or f"my/{_snake(type(trainer).__name__)}"
        self.session = session
        self.grpo = GRPO(trainer, _show) if GRPO.fits(trainer) else None
        self._train, self._own = trainer.train, session is None
        trainer.train = self.train

    def train(self, *args: Any, **options: Any) -> Any:
        """The Trainer's `train`, inside the session."""
        if self.trainer.args.world_size > 1:
            raise NotAllowed(
                f"Steering works where one process trains; this Trainer has {self.trainer.args.world_size}. Train "
                "without the callback, or on one device."
            )
        if self.session is None:
            seed = self.options.pop("seed", self.trainer.args.seed)
            self.session = open_session(self.config, experiment=self.experiment, seed=seed, **self.options)
        session, inner = self.session, TrainerState(self.trainer, self.grpo)
        session.framework = inner
        try:
            with resumed(self.trainer, session.beginning.loaded) as where:
                result = self._train(*args, **options | where)
        except BaseException as error:
            self._leave(error)
            raise
        self._leave(None)
        return result

    def _leave(self, error: BaseException | None) -> None:
        if not self._own or self.session is None:
            return
        if error is None:
            self.session.close("finished")
        else:
            self.session.fail(error)
        self.session = None

    # -- the Trainer's hooks ------------------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Everything to steer exists now."""
        assert self.session is not None
        assert isinstance(self.session.framework, TrainerState)
        self.session.register(**self.session.framework.parts())
        self.session.start(int(state.max_steps))
        if self.grpo is not None:
            self.grpo.follow(self.session.desk.value)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The boundary before a step."""
        assert self.session is not None
        self.session.boundary(int(state.global_step))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Record numbers; not the summary that closes a training."""
        if logs and "train_runtime" not in logs:
            for name, value in logs.items():
                if name not in UNTOLD and isinstance(value, int | float):
                    emit(NAMES.get(name, name), float(value))


def _show(batch: Batch) -> None:
    """Of a batch of rollouts what TRL logs no number of."""
    emit("length_p10", batch.quantile(0.1))
    emit("length_p90", batch.quantile(0.9))
    emit("responses", batch.responses())


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def fit(trainer: Any, session: Session) -> None:
    """Train a method's Trainer under its session; leaves quietly when the run is told to stop."""
    rebuild = session.beginning.rebuild_at
    if rebuild is not None:
        trainer.args.max_steps = max(trainer.args.max_steps, rebuild + 1)
    trainer.add_callback(TransformersSteering(trainer, session=session))
    with contextlib.suppress(Stopped):
        trainer.train()
    session.recorder.close_step(session.step, time.time())
