"""What the experiment shows: its signals and its charts."""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.reinforcement._shared import shown

FIRST, SECOND = "the first stage", "the second stage"

SIGNALS = (
    Signal("eval_accuracy", "share of right answers on fixed prompts, through both stages", main=True),
    Signal("eval_length", "mean length of their responses, <eos> included", "tokens"),
    Signal("eval_truncated", "share of them that did not end in time", healthy=(None, 0.1)),
    Signal("tokens_per_correct", "tokens of all responses over the number of right ones, on the fixed prompts",
           "tokens"),
    Signal("one_pass", "mean length of an answer with one pass and no verification, on the fixed prompts", "tokens"),
    Signal("lengths_right", "how many right responses to the fixed prompts have a length", shape="histogram",
           edges=shown.LENGTHS),
    Signal("lengths_wrong", "how many wrong ones have", shape="histogram", edges=shown.LENGTHS),
    Signal("stage", "0: SFT, 1: GRPO"),
    Signal("accuracy_slope", "rise of eval_accuracy over the last 5 epochs, least squares", "points/epoch",
           healthy=(None, 1.0), only=FIRST),
    Signal("epoch", "passes over the traces so far", only=FIRST),
    Signal("sft_loss", "of the next token of the teacher's responses", "nats/token", only=FIRST),
    Signal("sft_accuracy", "eval_accuracy where the second stage begins; without SFT of the pretrained model",
           only="from the end of SFT on"),
    Signal("sft_length", "eval_length there", "tokens", only="from the end of SFT on"),
    Signal("accuracy_change", "eval_accuracy minus sft_accuracy", healthy=(-0.05, None), only="from the end of SFT on"),
    Signal("length_left", "eval_length over sft_length", only="from the end of SFT on"),
    *shown.signals("rollout", "the policy at the end of SFT", only=SECOND),
    Signal("reward_sum", "mean of what the responses are compared by: the rewards times their weights", only=SECOND),
    Signal("reward_format", "weight times mean reward for form", only=SECOND),
    Signal("reward_cosine", "weight times mean cosine reward: accuracy, weighed by length", only=SECOND),
    Signal("reward_length", "weight times mean reward for being short within a group", only=SECOND),
    Signal("reward_accuracy", "weight times mean reward for a right answer", only=SECOND),
    Signal("passes", "how often a rollout verifies itself (V)", only=SECOND),
    Signal("accuracy_pass1", "share of first passes that are right", only=SECOND),
    Signal("grad_norm", "norm of the gradient before clipping"),
    Signal("policy_loss", "what GRPO minimises, mean over the step's updates", only=SECOND),
    replace(shown.GROUPS, only=SECOND),
)  # fmt: skip

PASS = Reference("one_pass", "one pass")
VIEWS = (
    View("plane", "Accuracy and length", kind="scatter", series=("eval_length", "eval_accuracy"), group="plane",
         tab="plane", subtitle="SFT goes right and up; GRPO goes left"),
    View("cost_plane", "Accuracy and cost", kind="scatter", series=("tokens_per_correct", "eval_accuracy"),
         group="plane", tab="cost", subtitle="tokens a right answer"),
    View("accuracy", "Accuracy", series=("eval_accuracy",), range=(0, 1), group="accuracy", tab="accuracy",
         references=(Reference("sft_accuracy", "end of SFT"),), subtitle="fixed prompts, through both stages"),
    View("accuracy_change", "Accuracy since SFT", series=("accuracy_change",), group="accuracy", tab="since SFT",
         references=(Reference(-0.05, "eaten below"), Reference(0.0, ""))),
    View("accuracy_slope", "Rise of accuracy", series=("accuracy_slope",), unit="points/epoch", group="accuracy",
         tab="slope", references=(Reference(1.0, "still rising above"),), subtitle="over the last 5 epochs of SFT"),
    View("length", "Length of responses", series=("eval_length",), unit="tokens", group="length", tab="length",
         references=(PASS,), subtitle="fixed prompts, through both stages"),
    View("cost", "Tokens a right answer", series=("tokens_per_correct",), unit="tokens", group="length", tab="cost",
         references=(PASS,), subtitle="tokens of all responses over the right ones"),
    View("lengths_right", "Lengths of right responses", kind="heatmap", series=("lengths_right",), unit="tokens",
         per_run=True, group="lengths", tab="right", subtitle="fixed prompts"),
    View("lengths_wrong", "Lengths of wrong responses", kind="heatmap", series=("lengths_wrong",), unit="tokens",
         per_run=True, group="lengths", tab="wrong", subtitle="fixed prompts"),
    View("length_band", "Length of rollouts", series=("length",), bands=(("length_p10", "length_p90"),),
         unit="tokens", group="lengths", tab="rollouts", subtitle="mean, and between a tenth and nine tenths"),
    View("rewards", "Parts of the reward", per_run=True, group="reward", tab="parts",
         series=(Series("reward_format", "form", color="ink2"), Series("reward_cosine", "cosine", color="blue"),
                 Series("reward_length", "length", color="green"),
                 Series("reward_accuracy", "accuracy", color="amber", dash=True)),
         subtitle="mean, times its weight; lines, since parts may be negative"),
    View("reward_sum", "Reward", series=("reward_sum",), group="reward", tab="sum"),
    View("reward", "Right rollouts", series=("reward",), range=(0, 1), group="reward", tab="right"),
    View("passes", "Verifying itself", series=("passes",), group="passes", tab="passes", subtitle="V's a rollout"),
    View("accuracy_pass1", "First passes that are right", series=("accuracy_pass1",), range=(0, 1), group="passes",
         tab="first pass", subtitle="without slips nothing has to be verified"),
    shown.answers("rollout"),
    *shown.ENTROPY,
    shown.distance("the end of SFT"),
    shown.estimates("k3"),
    View("sft_loss", "Loss of SFT", series=("sft_loss",), unit="nats/token", group="update", tab="SFT"),
    shown.STARVED,
    shown.CLIP,
    shown.GRADIENT,
)  # fmt: skip
