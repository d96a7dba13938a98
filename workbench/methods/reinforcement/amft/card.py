"""The experiment reinforcement/amft: its arms, sizes, claims and the card."""

from __future__ import annotations

from typing import Any

from workbench.cards import Arm, Card, Claim, Paper, Preset, Probe
from workbench.methods.reinforcement.amft.knobs import Amft
from workbench.methods.reinforcement.amft.shown import SIGNALS, VIEWS

OFF = {"controller": "off"}
ARMS = (
    Arm("sft_rl", "SFT, then RL", "phenomenon", {**OFF, "schedule": "switch"},
        "40 steps of traces alone, then rewards alone"),
    Arm("amft", "AMFT", "remedy", {}, "mu moved by validation reward and by entropy"),
    Arm("fixed_2", "mu = 0.2", "competitor", {**OFF, "mu": 0.2}, "mostly reinforcement, throughout"),
    Arm("fixed_5", "mu = 0.5", "competitor", {**OFF, "mu": 0.5}, "both alike, throughout"),
    Arm("fixed_8", "mu = 0.8", "competitor", {**OFF, "mu": 0.8}, "mostly imitation, throughout"),
    Arm("linear", "linear decay", "competitor", {**OFF, "mu": 1.0, "schedule": "linear"},
        "mu from 1 to 0, whatever happens"),
    Arm("entropy", "entropy alone", "ablation", {"controller": "entropy"}, "without the meta-gradient"),
    Arm("meta", "meta-gradient alone", "ablation", {"controller": "meta"}, "without entropy"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "warmup": 2, "switch": 6, "every": 2, "traces": 64, "sft_batch": 16, "validation": 32,
    "evaluation": 16, "pretraining": 100,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps from a model that hardly knows sums"),
    Preset("tour", {}, "100 steps: imitation and then reward, beside a mixture that is steered", ("sft_rl", "amft")),
    Preset("full", {"steps": 200, "evaluation": 1024}, "200 steps of every arm, on 1,024 fixed prompts each",
           ("sft_rl", "amft", "fixed_2", "fixed_5", "fixed_8", "linear", "entropy", "meta")),
)  # fmt: skip

SETTINGS: dict[str, Any] = {"seeds": (3, 4, 5, 6, 7), "overrides": {"base_seed": 0}}
CLAIMS = (
    Claim(
        "generalises_better", "AMFT generalises better to out-of-distribution tasks than SFT followed by RL or a fixed "
        "mixture.", "Five base models: accuracy on sums longer than any trained on (mean of the last three "
        "evaluations) is higher than that of the better of SFT-then-RL and mu = 0.5 by two standard errors and by .02.",
        figure="state of the art on maths, General Points and V-IRL; no table was at hand",
        arms=("amft", "sft_rl", "fixed_5"), metric="claims:ood", direction="higher", margin=0.02, rule="se", k=2.0,
        **SETTINGS,
    ),
    Claim(
        "stable", "The controller makes training stable.", "The deviation of that accuracy over five base models is "
        "not larger than SFT-then-RL's.", arms=("amft", "sft_rl"), metric="claims:ood_spread", direction="lower",
        rule="mean", **SETTINGS,
    ),
    Claim(
        "from_imitation_to_exploration", "The controller finds a curriculum by itself: imitation first, exploration "
        "later.", "mu is lower at the end than after the warm-up in at least 4 of 5 runs.", arms=("amft",),
        metric="claims:fall", direction="higher", rule="count", count=4, **SETTINGS,
    ),
    Claim(
        "forgets_less", "RL after SFT forgets what SFT has taught; AMFT keeps it.", "The loss on held-out traces ends "
        "above its lowest by at most half as much as under SFT-then-RL. (For what that costs see the notes.)",
        arms=("amft", "sft_rl"), metric="nll_rise", direction="lower", factor=0.5, **SETTINGS,
    ),
)  # fmt: skip

CARD = Card(
    title="AMFT",
    subtitle="how much to imitate, how much to explore",
    paper=Paper(
        "AMFT: Aligning LLM Reasoners by Meta-Learning the Optimal Imitation-Exploration Balance", "arXiv", 2025,
        "https://arxiv.org/abs/2508.06944", 59,
    ),
    phenomenon="Reinforcement learning after SFT forgets the traces: their loss climbs, and entropy falls.",
    remedy="Both losses at once, (1 - mu) L_RL + mu L_SFT, and a controller that moves mu by validation reward and "
    "entropy.",
    config=Amft,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("evaluation", "fixed prompts", "of 3 to 5 and of 6 and 7 operands, and held-out traces; taken every 5 "
              "steps and at the end anyway"),
    ),
    detectors=("detect:ForgettingInRl", "detect:ImitationLock", "detect:GradientConflict", "entropy_collapse",
               "starved_groups", "non_finite"),
    clears=("forgetting_in_rl",),
    data=(),
    reconstruction="the controller's formulas are reconstructed from the abstract, which names a meta-gradient of "
    "long-term reward, an entropy that regularises it and one loss of two terms: the look-ahead of one plain step, the "
    "normalisation, the averages, rates, bounds and the entropy's sign are ours. The loss of rewards is GRPO's.",
    notes=(
        (
            "Seen on five base models: accuracy on longer sums is no higher with AMFT (.84) than with SFT-then-RL "
            "(.85), which beats it on four of them; both beat mu = .5 (.66). Its deviation over base models is the "
            "same to the fourth digit (.113), so that 'stable' is a tie. mu falls by .37, as fast as its rate allows. "
            "The loss on held-out traces ends .12 above its lowest, under SFT-then-RL .78, of which one base model of "
            "2.4 is the larger part: less than half on all five, and too uneven for the interval."
        ),
        "The language is made up: sums for a model of 107,000 weights. Tokens stand for words.",
        (
            "A checksum of a prompt's tokens decides whether it is held out (one in 8): for validation and evaluation, "
            "never for rollouts or traces."
        ),
        (
            "The pretrained model has read sums of 3 to 7 operands; traces and rollouts have 3 to 5. So accuracy on 6 "
            "and 7 says what a skill that is no longer practised comes to."
        ),
        (
            "The teacher slips at a tenth of its steps and reward unlearns slips: what is forgotten are mistakes as "
            "well, and the loss on traces has to rise where accuracy does. So validation reward asks for less and less "
            "imitation. On base model 1 SFT-then-RL ended more accurate (.96) than AMFT (.90), which kept the traces; "
            "a mixture held at .8 or .5 is bound by the teacher (.66 and .80)."
        ),
        (
            "Entropy falls in reinforcement here, not in SFT, whose traces slip. Below its target the controller "
            "imitates less, as reconstructed, and that lowers entropy further: in this world its sign does harm."
        ),
        (
            "The learning rate (among 1e-4 and 2e-4) and the meta-gradient's rate (.02 and .05) were chosen on base "
            "model 1. With .05 mu is at its lower bound after 60 steps. The claims are judged on five others."
        ),
    ),
)  # fmt: skip
