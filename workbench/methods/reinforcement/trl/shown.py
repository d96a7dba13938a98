"""What the experiment shows: what TRL logs and what its rollouts tell, under the family's names where it has some."""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.reinforcement._shared import shown

_SHARED = {signal.name: signal for signal in shown.signals()}
_PARTS = {
    "accuracy": "1 for a response with a right answer that ends in time",
    "form": "what a response gets that ends with one digit behind an A",
    "length_penalty": "minus what its length costs",
}

SIGNALS = (
    Signal("reward", "mean of what the responses are compared by: the sum of the three parts", main=True),
    Signal("reward_std", "deviation of the same over the batch"),
    *(Signal(f"rewards/{name}/mean", f"mean reward, {what}") for name, what in _PARTS.items()),
    *(Signal(f"rewards/{name}/std", "deviation of the same over the batch") for name in _PARTS),
    *(_SHARED[name] for name in ("length", "length_p10", "length_p90")),
    Signal("length_min", "the shortest response", "tokens"),
    Signal("length_max", "the longest response", "tokens"),
    Signal("length_ended", "mean length of the responses that ended in time; 0 without any", "tokens"),
    _SHARED["truncated"],
    Signal("passes", "how often a response verifies itself (V)"),
    Signal("accuracy_pass1", "share of first passes that are right"),
    replace(_SHARED["entropy"], healthy=(None, None)),
    Signal("kl", "KL to the model at the start, estimated by k3 from sampled tokens", "nats/token",
           only="beta above 0"),
    *(_SHARED[name] for name in ("clipped_low", "clipped_high")),
    Signal("loss", "what GRPO minimises"),
    Signal("grad_norm", "norm of the gradient before clipping"),
    Signal("learning_rate", "as the step used it"),
    shown.GROUPS,
    _SHARED["responses"],
)  # fmt: skip

VIEWS = (
    View("accuracy", "Right answers", series=("rewards/accuracy/mean",), range=(0, 1), group="reward", tab="right",
         subtitle="share of the batch"),
    View("reward", "Reward", series=("reward",), group="reward", tab="all", subtitle="the parts' sum"),
    View("parts", "Parts of the reward", group="reward", tab="parts", per_run=True,
         series=(Series("rewards/accuracy/mean", "right", color="blue"), Series("rewards/form/mean", "form"),
                 Series("rewards/length_penalty/mean", "length", color="amber", dash=True))),
    View("length", "Length of responses", series=("length",), bands=(("length_p10", "length_p90"),), unit="tokens",
         group="length", tab="length", subtitle="mean, and between a tenth and nine tenths"),
    View("truncated", "Cut off", series=("truncated",), range=(0, 1), group="length", tab="cut off"),
    View("passes", "Verifying itself", series=("passes",), group="length", tab="passes", subtitle="V's a response"),
    shown.answers(),
    View("entropy", "Entropy", series=("entropy",), unit="nats/token", group="entropy", tab="entropy",
         references=(Reference(0.05, "frozen below"),)),
    View("kl", "Distance from the start", series=("kl",), unit="nats/token", scale="log", group="entropy", tab="KL",
         subtitle="k3, from the sampled tokens"),
    shown.CLIP, shown.GRADIENT, shown.STARVED,
    View("loss", "Loss", series=("loss",), group="update", tab="loss"),
)  # fmt: skip
