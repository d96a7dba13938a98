"""The experiment reinforcement/two_stage: its arms, sizes, claims and the card."""

from __future__ import annotations

from typing import Any

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Probe
from workbench.methods.reinforcement.two_stage.knobs import TwoStage
from workbench.methods.reinforcement.two_stage.shown import SIGNALS, VIEWS

ACCURACY = {"w_format": 0.0, "w_cosine": 0.0, "w_length": 0.0, "w_accuracy": 1.0}
ARMS = (
    Arm("sft_10", "SFT, 10 epochs", "phenomenon", {"reinforce": False},
        "accurate, and as long as the teacher; stops there"),
    Arm("two_stage", "SFT, then GRPO", "remedy", {},
        "the recipe: 10 epochs, then rewards for form, cosine and length"),
    Arm("sft_1", "SFT, 1 epoch", "ablation", {"epochs": 1, "reinforce": False},
        "the teacher's style and not yet its accuracy; stops there"),
    Arm("grpo_only", "GRPO without SFT", "competitor", {"epochs": 0, "steps": 40},
        "the second stage from the pretrained model"),
    Arm("accuracy_only", "SFT, then GRPO for accuracy", "ablation", ACCURACY,
        "the second stage with a reward for right answers alone, whatever their length"),
    Arm("likeliest", "GRPO on the likeliest tokens", "ablation", {"top_p": 0.9, "min_p": 0.05},
        "the authors' sampling: slips are hardly drawn, so nothing unlearns them"),
)  # fmt: skip

SMOKE = {
    "steps": 14, "epochs": 2, "traces": 64, "sft_batch": 16, "batch_size": 16, "group_size": 4, "evaluation": 16,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "both stages on little: traces in batches of 16, rollouts in batches of 16"),
    Preset("tour", {}, "120 steps of SFT and 40 of GRPO: accuracy first, then length", ("sft_10", "two_stage")),
    Preset("full", {"steps": 220, "evaluation": 1024}, "the same with 100 steps of GRPO, on 1,024 fixed prompts",
           ("sft_10", "two_stage", "accuracy_only", "grpo_only")),
)  # fmt: skip

PAPER = "AIMO-2: a high rank among over 2,200 teams; no table was at hand"
SETTINGS: dict[str, Any] = {"seeds": (3, 4, 5), "overrides": {"base_seed": 0}}
CLAIMS = (
    Claim(
        "long_sft_is_right_more_often", "Extending SFT for as many as 10 epochs is crucial.", "Three base models: "
        "accuracy on fixed prompts after 10 epochs of SFT is at least .05 above that after 1.", figure=PAPER,
        arms=("sft_10", "sft_1"), metric="eval_accuracy", direction="higher", margin=0.05, **SETTINGS,
    ),
    Claim(
        "grpo_shortens", "The primary role of GRPO is to optimise the length of solutions, at preserved accuracy.",
        "Three base models: after GRPO responses to the fixed prompts are at most .8 times as long as before, and "
        "accuracy is lower by .02 at most.", figure=PAPER,
        arms=("two_stage", "sft_10"), metric="eval_length", direction="lower", factor=0.8,
        also=(Comparison(metric="eval_accuracy", direction="higher", margin=-0.02, rule="mean"),), **SETTINGS,
    ),
    Claim(
        "rewards_shorten", "The primary role of GRPO is to optimise the length of solutions.", "Three base models: it "
        "is the rewards that shorten; with one for accuracy alone responses are at least 1.25 times as long.",
        arms=("two_stage", "accuracy_only"), metric="eval_length", direction="lower", factor=0.8, **SETTINGS,
    ),
    Claim(
        "stages_are_complementary", "SFT and GRPO play complementary, not competing, roles.", "Three base models: "
        "after both stages accuracy is at least .02 above that of the same GRPO without SFT. (On base model 1 they "
        "were equal before this was declared: the pretrained model knows a short way.)",
        arms=("two_stage", "grpo_only"), metric="eval_accuracy", direction="higher", margin=0.02, **SETTINGS,
    ),
)  # fmt: skip

CARD = Card(
    title="SFT, then GRPO",
    subtitle="accuracy first, then length",
    paper=Paper(
        "A Practical Two-Stage Recipe for Mathematical LLMs: Maximizing Accuracy with SFT and Efficiency with "
        "Reinforcement Learning", "AI for Math workshop at ICML", 2025, "https://arxiv.org/abs/2507.08267", 53,
    ),
    phenomenon="Long SFT on a teacher's traces makes a model accurate, and responses stay as long as the teacher's.",
    remedy="GRPO from there, with rewards for form, for accuracy weighed by length, and for being short in a group.",
    config=TwoStage,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("evaluation", "fixed prompts", "as many prompts as 'evaluation' says, temperature 1; taken at every "
              "epoch of SFT, at the border and at the end, too", every=4),
    ),
    detectors=("detect:StaysLong", "detect:SftUndertrained", "detect:RlEatsAccuracy", "entropy_collapse",
               "starved_groups", "kl_runaway", "non_finite"),
    data=(),
    reconstruction="rates, batch and number of steps of a laboratory this small; the loss is GRPO's own and the reward "
    "for form asks for a digit behind the last A. The three rewards agree with the authors' code.",
    notes=(
        "The language is made up: sums for a model of 107,000 weights. Tokens stand for the paper's characters.",
        "A cut-off response is a wrong one, and the cosine reward takes less from a wrong one the longer it is.",
        (
            "Here GRPO raises accuracy as well, once responses have come down to one pass: the teacher's first pass "
            "slips at a quarter of its steps on purpose, and reinforcement learning unlearns that. Length falls first."
        ),
        (
            "SFT's rate was chosen among two and GRPO's among four, on base models 1 and 2, for a way that can be "
            "watched: at 1e-4 and above responses are short within 8 to 16 steps. The claims are judged on three "
            "others."
        ),
        (
            "Responses are sampled from whole distributions (authors: top p 0.9, min p 0.05). The likeliest tokens "
            "alone hide slips from the rewards: length falls, and accuracy on fixed prompts with it (arm likeliest)."
        ),
        (
            "GRPO without SFT comes about as far here: the pretrained model has read short solutions, which "
            "a real one may not have."
        ),
    ),
)  # fmt: skip
