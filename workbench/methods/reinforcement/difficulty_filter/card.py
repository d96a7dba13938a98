"""The experiment reinforcement/difficulty_filter: its arms, sizes, claims and the card."""

from __future__ import annotations

from typing import Any

from workbench.cards import Arm, Card, Claim, Paper, Preset, Probe
from workbench.methods.reinforcement.difficulty_filter.knobs import DifficultyFilter
from workbench.methods.reinforcement.difficulty_filter.shown import SIGNALS, VIEWS

ARMS = (
    Arm("none", "no filter (GRPO)", "phenomenon", {"filter": False}, "every prompt that is drawn is learned from"),
    Arm("balanced", "balanced filter", "remedy", {"t_low": 0.25, "t_high": 0.75},
        "prompts that are solved a quarter to three quarters of the time"),
    Arm("drop_easy", "without easy prompts", "ablation", {"t_low": 0.0, "t_high": 0.75}, "one side of the filter"),
    Arm("drop_hard", "without hard prompts", "ablation", {"t_low": 0.25, "t_high": 1.0}, "the other side"),
    Arm("dynamic", "neither always nor never solved", "competitor", {"t_low": 0.01, "t_high": 0.99},
        "the widest filter, which throws away only what teaches nothing (DAPO's dynamic sampling)"),
    Arm("curriculum", "from easy to hard, fixed beforehand", "competitor", {"filter": False, "order": "easy_first"},
        "1 digit first, 8 last, whatever the policy can do"),
)  # fmt: skip

SMOKE = {"steps": 12, "prompts": 2, "evaluation": 4, "pretraining": 150}
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps of 2 prompts, to see that everything works"),
    Preset("tour", {}, "80 steps of 16 prompts with 8 responses each", ("none", "balanced")),
    Preset("full", {"steps": 200}, "200 steps", ("none", "balanced", "drop_easy", "drop_hard", "curriculum")),
)  # fmt: skip

BOTH: dict[str, Any] = {"arms": ("balanced", "none"), "seeds": (2, 3, 4, 5, 6), "overrides": {"base_seed": 0}}
CLAIMS = (
    Claim(
        "better_at_equal_steps", "Balanced online filtering ends more accurate than plain GRPO.", "Five base models: "
        "after 80 steps the accuracy on fixed prompts (mean of the last three evaluations) is higher with the filter "
        "by two standard errors, and by at least .03.", figure="abstract: +10 points on AIME, +4 on average",
        metric="claims:final", direction="higher", margin=0.03, rule="se", k=2.0, **BOTH,
    ),
    Claim(
        "sooner_in_steps", "It reaches plain GRPO's final accuracy in a part of the training.", "It gets there in at "
        "most .7 of the steps that plain GRPO takes.", figure="abstract: 60 % of the training time, in its second "
        "version less than half the steps", metric="claims:late_steps", direction="lower", **BOTH,
    ),
    Claim(
        "sooner_in_rollouts", "It is worth what it throws away.", "It gets to plain GRPO's final accuracy with fewer "
        "responses sampled, those that were thrown away among them. (The abstract counts training time, which this is "
        "not.)", metric="claims:late_rollouts", direction="lower", **BOTH,
    ),
    Claim(
        "variance_is_the_limit", "What a prompt can teach is bounded by the variance of its accuracy.", "Without "
        "training: at beta 10 the exact KL is p (1 - p) / (2 beta²) to 4 % and largest at one half; at beta 1 it is "
        "largest below .43.", metric="claims:variance_is_the_limit", rule="exact", direction="higher", seeds=(1, 2, 3),
        quick=True,
    ),
)  # fmt: skip

CARD = Card(
    title="Online difficulty filtering",
    subtitle="prompts that are solved about half of the time",
    paper=Paper(
        "Online Difficulty Filtering for Reasoning Oriented Reinforcement Learning", "arXiv", 2025,
        "https://arxiv.org/abs/2504.03380", 22,
    ),
    phenomenon="Prompts that are always or never solved teach nothing: the batch that counts shrinks as the policy "
    "learns.",
    remedy="Draw until the batch is full of prompts whose pass rate, by the policy as it stands, is near one half.",
    config=DifficultyFilter,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("evaluation", "fixed prompts", "equally many of 1 to 8 digits, temperature 1; taken at the end, too",
              every=5),
        Probe("truth", "true pass rates", "24 prompts, answered as often as in training and 64 times more", every=20),
    ),
    detectors=("starved_groups", "detect:FilterTooTight", "entropy_collapse", "kl_runaway", "non_finite"),
    clears=("starved_groups",),
    data=(),
    reconstruction="all beyond the abstract, which names the filter, its balance around one half and the bound: G, the "
    "band, the cap on draws, what becomes of a batch that is not full, and the laboratory. No code was published.",
    notes=(
        (
            "On five base models the end is the same with the filter and without (.976 and .974): these prompts are "
            "learned to a ceiling, neither in fewer steps nor with fewer rollouts. A harder pool would test the paper "
            "better."
        ),
        "The language is made up: sums of 1 to 8 digits for models of 107,000 weights.",
        "A filter may win by steps and pays in rollouts; look at all three of the accuracy's tabs before judging it.",
        "'Balanced around one half' is the limit of a large beta: at beta 1 the exact bound is largest at .42.",
        "The policy outgrows these prompts: after 20 steps of the tour drawing ends at its cap, almost empty-handed.",
        "What the band still finds then are easy prompts with bad luck: few are truly inside it (tab truth).",
        "Prompts are drawn anew each time, so that thrown-away ones are back in the pool by themselves.",
    ),
)  # fmt: skip
