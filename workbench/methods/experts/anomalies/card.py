"""The experiment experts/anomalies: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Action, Arm, Card, Claim, Comparison, Paper, Preset
from workbench.methods.experts.anomalies.knobs import Anomalies
from workbench.methods.experts.anomalies.shown import SIGNALS, VIEWS

RETRY = {"guard.handler": "skip_retry_lr", "guard.rollback": True}
ARMS = (
    Arm("none", "no handling", "phenomenon", {"grad_clip": 0.0}, "every update is made, the gradient as it is"),
    Arm("clip", "clipping alone", "competitor", {}, "the gradient's norm is limited to 1"),
    Arm("skip", "skip", "ablation", {"guard.handler": "skip"}, "no update by a batch that stands out"),
    Arm("retry", "skip and retry", "remedy", RETRY,
        "and try it again later, at a lower rate if it stands out again; take back the update before it"),
    Arm("no_rollback", "skip and retry, no roll-back", "ablation", {"guard.handler": "skip_retry_lr"},
        "as Ling describes it"),
    Arm("norm_head", "and NormHead", "ablation", RETRY | {"norm_head": True}, "columns of the head of norm 1"),
    Arm("warmup", "and stochastic routing", "ablation", RETRY | {"router_warmup": 100},
        "router logits that begin as noise"),
    Arm("clean", "nothing injected", "ablation", RETRY | {"inject": "none"}, "what the guard does to a healthy run"),
)  # fmt: skip

SMOKE = {
    "steps": 24, "every": 20, "length": 16, "width": 32, "hidden": 32, "eval_every": 10, "eval_sequences": 4,
    "last_sequences": 4,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "24 steps, to see that it works"),
    Preset("tour", {"steps": 330, "layers": 2}, "330 steps, five anomalies", ("none", "retry")),
    Preset("full", {"steps": 2000, "every": 120, "width": 96, "layers": 4, "experts": 16, "hidden": 96, "length": 128},
           "1.6 million parameters, 16 experts", ("none", "clip", "skip", "retry", "norm_head", "warmup")),
)  # fmt: skip

SKIPPING = "Skipping and retrying keeps anomalies from disrupting the training."
FIGURE = "no more spikes in the loss curve, no divergence at 290 B parameters (their figure 14)"
SEEDS = (0, 1, 2, 3, 4)
CLAIMS = (
    Claim(
        "smaller_spikes", SKIPPING, "330 steps, five anomalies, the same ones: loss on text above its running median, "
        "added up, is at most half of that without handling, and the loss on validation text at the end is no higher.",
        figure=FIGURE, arms=("retry", "none"), metric="claims:area", factor=0.5, seeds=SEEDS,
        also=(Comparison(metric="valid_ce", rule="mean"),),
    ),
    Claim(
        "beyond_clipping", SKIPPING, "The same sum is lower than with the gradient's norm clipped at 1 alone.",
        figure=FIGURE, arms=("retry", "clip"), metric="claims:area", seeds=SEEDS,
    ),
    Claim(
        "few_false_alarms", "Healthy batches are left alone.", "330 steps with nothing injected: fewer than 1 in 1,000 "
        "batches is skipped, mean over seeds.",
        arms=("clean",), metric="claims:false_alarms", rule="mean", seeds=SEEDS,
    ),
    Claim(
        "balanced_start", "Stochastic routing warm-up keeps the router stable in early training.", "The worst layer's "
        "imbalance at step 20 is at most half of that without, at every seed.",
        arms=("warmup", "retry"), metric="claims:early_imbalance", factor=0.5, rule="all_pairs", seeds=SEEDS,
    ),
)  # fmt: skip

CARD = Card(
    title="Spikes, skipped and tried again",
    subtitle="batches that wreck a run, and a guard that keeps their updates out",
    paper=Paper(
        "Every FLOP Counts: Scaling a 300B Mixture-of-Experts LING LLM without Premium GPUs", "arXiv", 2025,
        "https://arxiv.org/abs/2503.05139", 23,
    ),
    phenomenon="A bad batch or a shaken optimizer makes the loss spike; a wide spike leaves wreckage behind.",
    remedy="Judge the loss before the update; skip, try the batch again later, and at a lower rate if it persists.",
    config=Anomalies,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=(
        "detect:NarrowSpike", "detect:WideSpike", "detect:Diverged", "detect:BalanceAfterSpike", "non_finite",
    ),
    clears=("wide_spike", "diverged", "balance_after_spike"),
    actions=(
        Action("inject_narrow", "inject a narrow spike", "this step's batch becomes random bytes"),
        Action("inject_wide", "inject a wide spike", "six batches in a row become random bytes"),
    ),
    notes=(
        "The anomalies are injected on purpose, and the signal injected says so; model, text and answer are real.",
        "Threshold, window and delay are a reconstruction: the report does not give them.",
        "Under AdamW enlarged gradients and shrunken second moments leave hardly a mark; random bytes do.",
        "Experts are out of balance while random bytes pass through; that it escalates afterwards was not seen here.",
    ),
)  # fmt: skip
