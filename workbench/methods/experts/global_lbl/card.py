"""The experiment experts/global_lbl: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Signal
from workbench.methods.experts._shared.shown import SIGNALS, VIEWS
from workbench.methods.experts.global_lbl.knobs import GlobalLbl

OWN = (Signal("balance_group", "sequences over which the balancing loss is taken", "sequences",
              only="balancing by a loss"),)  # fmt: skip

ARMS = (
    Arm("micro", "micro-batch balancing", "phenomenon", {"balance_group": 1}, "the loss of every sequence by itself"),
    Arm("global", "global-batch balancing", "remedy", {"balance_group": 32}, "the loss of the whole batch"),
    Arm("group_4", "groups of 4", "ablation", {"balance_group": 4}, "in between"),
    Arm("accumulated", "gradient accumulation", "ablation", {"balance_group": 4, "counts": "accumulated"},
        "8 micro-batches of 4 sequences; each sees the load of those before it"),
    Arm("shuffled", "diverse but small", "ablation", {"balance_group": 1, "lbl_tokens": "shuffled"},
        "the loss of random bytes of the batch, as many as a sequence has"),
    Arm("pure", "large but not diverse", "ablation", {"balance_group": 32, "batch_mix": "pure"},
        "the whole batch from one domain, domains in turn"),
    Arm("bias", "selection bias", "competitor", {"balancing": "bias"}, "no loss: a bias against each expert's load"),
    Arm("none", "no balancing", "competitor", {"alpha": 0.0}, "experts die early, and some come back"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "length": 16, "width": 32, "hidden": 32, "eval_every": 5, "eval_sequences": 4, "last_sequences": 4,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that it works"),
    Preset("tour", {"steps": 300, "alpha": 0.1}, "300 steps; the heat maps part within 100", ("micro", "global")),
    Preset("long", {}, "600 steps at the paper's kind of alpha", ("micro", "global", "bias", "none")),
    Preset("full", {"steps": 5000, "width": 96, "layers": 4, "experts": 16, "hidden": 96, "length": 128},
           "1.6 million parameters, 16 experts", ("micro", "global", "bias", "none")),
)  # fmt: skip

SPECIAL = "Under global-batch balancing experts specialise by domain; under micro-batch balancing they do not."
SEEDS = (0, 1, 2, 3, 4)
CLAIMS = (
    Claim(
        "specialises", SPECIAL, "600 steps, alpha .1: specialisation on validation text (mean over layers) with groups "
        "of 32 is at least 3 times that with groups of 1, at every seed.",
        arms=("global", "micro"), metric="valid_specialisation", direction="higher", factor=3.0, rule="all_pairs",
        preset="long", overrides={"alpha": 0.1}, seeds=SEEDS,
    ),
    Claim(
        "specialises_weak_loss", SPECIAL, "The same with alpha .02.",
        arms=("global", "micro"), metric="valid_specialisation", direction="higher", factor=3.0, rule="all_pairs",
        preset="long", seeds=SEEDS,
    ),
    Claim(
        "lower_loss", "Global-batch balancing lowers the perplexity.", "600 steps, alpha .1: cross-entropy on "
        "validation text, mean over domains, is lower with groups of 32 than with groups of 1.",
        figure="lower perplexity up to 42.8 B parameters and 400 B tokens (abstract)",
        arms=("global", "micro"), metric="valid_ce", preset="long", overrides={"alpha": 0.1}, seeds=SEEDS,
    ),
    Claim(
        "lower_loss_weak", "Global-batch balancing lowers the perplexity.", "The same with alpha .02.",
        arms=("global", "micro"), metric="valid_ce", preset="long", seeds=SEEDS,
    ),
    Claim(
        "diversity", "It is the diversity of the tokens that matters, not their number.", "600 steps, alpha .1: "
        "specialisation with the loss of as few random bytes as a sequence has is at least twice that of micro-batch "
        "balancing; with whole batches of one domain it is less than with mixed ones.",
        arms=("shuffled", "micro"), metric="valid_specialisation", direction="higher", factor=2.0, rule="all_pairs",
        preset="long", overrides={"alpha": 0.1}, seeds=SEEDS,
        also=(Comparison(arms=("pure", "global"), direction="lower", factor=1.0, rule="interval"),),
    ),
)  # fmt: skip

CARD = Card(
    title="Global-batch balancing",
    subtitle="experts that specialise, or a loss that keeps them from it",
    paper=Paper(
        "Demons in the Detail: On Implementing Load Balancing Loss for Training Specialized Mixture-of-Expert Models",
        "ACL", 2025, "https://arxiv.org/abs/2501.11873", 29,
    ),
    phenomenon="Balanced sequence by sequence, every expert serves all text alike and none specialises.",
    remedy="Take the balancing loss over the global batch.",
    config=GlobalLbl,
    signals=(*SIGNALS, *OWN),
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:OverBalanced", "detect:Collapse", "non_finite", "spike"),
    notes=(
        "The text is that of installed packages: Python's library and reference, torch's headers, scikit-learn's.",
        "Collapse is early and partial here: without balancing some experts die within 200 steps, and some come back.",
        "The paper's full text was not at hand; the losses follow Megatron-LM's code, which names the paper.",
    ),
)  # fmt: skip
