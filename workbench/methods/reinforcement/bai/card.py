"""The experiment reinforcement/bai: its arms, sizes, claims and the card."""

from __future__ import annotations

from typing import Any

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Probe
from workbench.methods.reinforcement.bai.knobs import BAI
from workbench.methods.reinforcement.bai.shown import SIGNALS, VIEWS

ARMS = (
    Arm("distilled", "from the distilled model", "phenomenon", {"init": "distilled"},
        "long responses that verify themselves; no chat skill is left"),
    Arm("bai", "balanced merge (BAI)", "remedy", {"init": "merge", "a": 0.5, "b": 0.9},
        "half instructed, half distilled, then a tenth pretrained"),
    Arm("instruct", "from the instructed model", "competitor", {"init": "instruct"}, "one pass, and chat"),
    Arm("single", "merge without the pretrained", "ablation", {"init": "merge", "a": 0.5, "b": 1.0},
        "the first stage alone: a plain mean of two"),
    Arm("random", "merge at random ratios", "ablation", {"init": "merge", "random_ratios": True},
        "both ratios drawn from the seed"),
    Arm("slerp", "merge along the arc", "ablation", {"init": "merge", "rule": "slerp"}, "SLERP in the first stage"),
    Arm("ties", "TIES merge", "ablation", {"init": "merge", "rule": "ties"}, "trimmed differences of elected sign"),
    Arm("dare", "DARE merge", "ablation", {"init": "merge", "rule": "dare"}, "randomly thinned differences"),
    Arm("warm_critic", "distilled, critic warmed up", "competitor",
        {"init": "distilled", "critic_warmup": 12, "optimizer.critic.lr": 1e-3, "lam": 0.95},
        "L: the critic learns alone for 12 steps, and faster"),
    Arm("gentle", "distilled, smaller steps", "competitor", {"init": "distilled", "optimizer.lr": 2e-4},
        "the same fragile start at less than half the learning rate"),
)  # fmt: skip

SMOKE = {"steps": 14, "batch_size": 16, "evaluation": 16, "group_size": 4}
H = {"regime": "H"}
PRESETS = (
    Preset("smoke", SMOKE, "fourteen steps of 16 responses, to see that everything works"),
    Preset("tour", {}, "regime L, 40 steps: responses shorten, and the reward dives and climbs back",
           ("distilled", "bai")),
    Preset("hockey", H, "regime H, 40 steps of GRPO: the reward's hockey stick without a critic",
           ("distilled", "bai", "instruct")),
    Preset("full", {"steps": 200}, "regime L for 200 steps", ("distilled", "bai", "instruct")),
)  # fmt: skip

STABLE = "A balanced merge of instructed, distilled and pretrained models makes training stable."
FIGURE = "curves of reward and length on large models; no table"
BOTH: dict[str, Any] = {"arms": ("bai", "distilled"), "seeds": (1, 2, 3, 4, 5), "overrides": {"base_seed": 0}}
CLAIMS = (
    Claim(
        "softer_dip_h", STABLE, "Regime H (GRPO), five base models: the reward's dip is at least .1 shallower from the "
        "merge than from the distilled model.", figure=FIGURE, metric="dip", margin=0.1, preset="hockey", **BOTH,
    ),
    Claim(
        "higher_minimum_h", STABLE, "The same without the start in it, since the merge starts lower: the lowest reward "
        "(mean of 5 steps) is higher from the merge.", metric="lowest_reward", direction="higher", preset="hockey",
        **BOTH,
    ),
    Claim(
        "ends_higher_h", STABLE, "Regime H: the reward on fixed prompts after 40 steps is at least that from the "
        "distilled model.", metric="eval_reward", direction="higher", preset="hockey", **BOTH,
    ),
    Claim(
        "keeps_length_l", "A balanced merge avoids the collapse of the responses' length.", "Regime L (PPO with a slow "
        "critic): the share of the starting length that is left is at least .2 higher from the merge, whose dip is at "
        "least .1 shallower. (The merge also starts half as long.)", metric="length_left", direction="higher",
        margin=0.2, also=(Comparison(metric="dip", direction="lower", margin=0.1),), **BOTH,
    ),
    Claim(
        "length_grows_l", "From the merge, responses keep growing.", "Regime L: on fixed prompts, responses to sums "
        "are longer after 40 steps than at the start.", metric="claims:growth", direction="higher",
        **BOTH | {"arms": ("bai",)},
    ),
)  # fmt: skip

CARD = Card(
    title="Balanced Actor Initialization",
    subtitle="the reward's hockey stick and the length collapse",
    paper=Paper(
        "Balanced Actor Initialization: Stable RLHF Training of Distillation-Based Reasoning Models", "arXiv", 2025,
        "https://arxiv.org/abs/2509.00309", 1,
    ),
    phenomenon="Reinforcement learning from a distilled model: reward dives and climbs back, responses shorten.",
    remedy="Start from a merge: instructed with distilled, then a little of the pretrained model.",
    config=BAI,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("evaluation", "fixed prompts", "as many prompts as 'evaluation' says, half of each kind, temperature 1; "
              "taken at the start and at the end, too", every=10),
        Probe("merge_map", "map of merges", "reward on the fixed prompts of 15 merges of instructed, distilled and "
              "pretrained models; models that are not at hand are made first, see 'base model'"),
    ),
    detectors=("length_collapse", "hockey_stick", "false_calm", "entropy_collapse", "starved_groups", "kl_runaway",
               "value_lag", "non_finite"),
    clears=("length_collapse", "hockey_stick"),
    data=(),
    reconstruction="the ratios and the laboratory (abstract and introduction were at hand, no code was published). "
    "Losses, advantages and merge rules agree with trl and mergekit.",
    notes=(
        (
            "Seen on five pretrained models: in regime H the reward dips by more than .1 in 4 of 5 runs from the "
            "distilled model (mean .14, deviation .09) and in none from the merge. In regime L responses to sums keep "
            ".44 to .46 of their length from the distilled model, .87 to .97 from the merge (which starts half as "
            "long); there the reward dips by more than .1 in 2 of 5 runs from the distilled model and in none from the "
            "merge. Longer responses from the merge were seen in none."
        ),
        "The language is made up: sums and strings for models of 107,000 weights. Nothing comes from a real model.",
        (
            "Regime L was chosen among six settings for showing the collapse; H was found on base model 1 and then "
            "held. At a learning rate of 2e-4 the distilled start hardly dips: fragility at a shared step size, not a "
            "law."
        ),
        (
            "At step 0 the merge is worse at sums than its parents and half as long as the distilled model: a part of "
            "'no dip' is less to lose. Compare the reward itself, its minimum and its end, not the dip alone."
        ),
        "Length shortens by credit: with a warmed-up critic, or without one (H), the distilled start keeps its length.",
    ),
)  # fmt: skip
