"""What a quantity of a language model's reinforcement learning is called: by us, and by trl, verl and OpenRLHF."""

from __future__ import annotations

from collections.abc import Mapping

_LENGTH = ("length", "completions/mean_length", "completion_length", "response_length/mean", "response_length")

# Quantity → names in order of preference. A name stands here only if it means the same thing: trl's `objective/entropy`
# is summed over a response, verl's `actor/ppo_kl` is the distance from the last policy and not from the reference.
NAMES: Mapping[str, tuple[str, ...]] = {
    # the score itself before what a KL penalty leaves of it
    "reward": (
        "reward", "rewards/mean", "objective/scores", "critic/score/mean", "objective/rlhf_reward",
        "critic/rewards/mean",
    ),
    "eval_reward": ("eval_reward", "eval/reward"),
    "length": _LENGTH,  # tokens a response
    "length_reasoning": ("length_reasoning", *_LENGTH),  # of responses that reason, where they are told apart
    "eval_length": ("eval_length", "eval_completions/mean_length", "eval/completions/mean_length"),
    "truncated": ("truncated", "completions/clipped_ratio", "response_length/clip_ratio"),
    "entropy": ("entropy", "policy/entropy_avg", "actor/entropy"),  # nats a token
    "kl_sequence": ("kl_sequence", "objective/kl"),  # to the reference, nats a response
    "kl_token": ("kl_token", "kl", "actor/kl_loss", "actor/reward_kl_penalty"),  # to the reference, nats a token
    "group_zero_std": ("group_zero_std", "frac_reward_zero_std"),
    "value_mse": ("value_mse",),
    "return_var": ("return_var",),
    "explained_variance": ("explained_variance", "critic/vf_explained_var"),
}  # fmt: skip
_BEFORE = ("", "train/")  # some loggers put it before every name


def names(quantity: str, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every name under which a quantity may be recorded, the preferred first; `own` ones before all."""
    return (*own, *(before + name for name in NAMES.get(quantity, ()) for before in _BEFORE))
