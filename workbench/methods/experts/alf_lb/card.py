"""The experiment experts/alf_lb: its arms, sizes, claims and the card."""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Action, Arm, Card, Claim, Paper, Preset, Reference, Signal, View
from workbench.methods.experts._shared.shown import SIGNALS, VIEWS
from workbench.methods.experts.alf_lb.knobs import RULES, AlfLb

ALONE = "mode router"
OWN = (
    Signal("bias", "what each expert's score is raised by for selection", shape="matrix", axis="layer × expert"),
    Signal("last_bias", "the same in the last layer", shape="vector", axis="expert"),
    Signal("bias_range", "largest minus smallest bias", shape="vector", axis="layer"),
    Signal("widest_bias", "the largest over layers"),
    Signal("last_load", "share of the routed slots of each expert in the last layer", shape="vector", axis="expert"),
    Signal("even_load", "an even share"),
    Signal("lagrangian", "chosen scores plus biases minus an even load's biases, a byte", shape="vector", axis="layer"),
    Signal("chatter", "share of experts that crossed an even load since the last step, mean over layers",
           healthy=(None, 0.55)),
    Signal("flips", "share of the bytes of a fixed text whose experts changed since the last step", shape="vector",
           axis="layer"),
    Signal("flow", "bytes of that text that left one expert for another since the last step", "bytes", shape="matrix",
           axis="layer × from × to"),
    Signal("interference", "cosine between the gradients of the task and of the balancing loss on the router's weights",
           shape="vector", axis="layer", only="balancing by a loss"),
    Signal("rule_excess", "largest distance of a load from an even one, fixed scores", "tokens", shape="vector",
           axis="rule", labels=RULES, only=ALONE),
    Signal("rule_lagrangian", "the Lagrangian a token, fixed scores", shape="vector", axis="rule", labels=RULES,
           only=ALONE),
    Signal("rule_bias", "biases, fixed scores", shape="matrix", axis="rule × expert", sides=(RULES, ()), only=ALONE),
    Signal("rule_load", "tokens of each expert as a share of all, fixed scores", shape="matrix", axis="rule × expert",
           sides=(RULES, ()), only=ALONE),
    Signal("rule_flow", "tokens that left one expert for another in the last update, fixed scores", "tokens",
           shape="matrix", axis="rule × from × to", sides=(RULES, (), ()), only=ALONE),
)  # fmt: skip

OWN_VIEWS = (
    View("last_bias", "Biases of the last layer", series=("last_bias",), per_run=True, group="bias", tab="last layer"),
    View("bias", "Biases", kind="matrix", series=("bias",), per_run=True, center=0.0, group="bias", tab="all layers"),
    View("bias_range", "How far biases part", series=("bias_range",), per_run=True, group="bias", tab="range"),
    View("last_load", "Loads of the last layer", kind="bars", series=("last_load",),
         references=(Reference("even_load", "even"),), group="heat", tab="bars"),
    View("lagrangian", "Lagrangian", series=("lagrangian",), per_run=True, group="dual", tab="Lagrangian",
         subtitle="what the bias step minimises; here scores change, too"),
    View("flow", "Who moves where", kind="matrix", series=("flow",), per_run=True, group="dual", tab="flow",
         subtitle="row: the expert that bytes of a fixed text left in this step; column: where they went"),
    View("flips", "Bytes that change experts", series=("flips",), per_run=True, group="dual", tab="flips"),
    View("chatter", "Swings across an even load", series=("chatter",), references=(Reference(0.55, "overshooting"),),
         group="dual", tab="swings"),
    View("interference", "Task against balancing loss", series=("interference",), per_run=True, group="dual",
         tab="interference", subtitle="cosine of gradients on the router's weights; below 0 they pull apart"),
    View("rule_excess", "Fixed scores: distance from an even load", series=("rule_excess",), unit="tokens",
         references=(Reference(7.0, "experts minus 1"),), per_run=True, group="alone", tab="load"),
    View("rule_lagrangian", "Fixed scores: Lagrangian", series=("rule_lagrangian",), per_run=True, group="alone",
         tab="Lagrangian"),
    View("rule_load", "Fixed scores: loads", kind="matrix", series=("rule_load",), per_run=True, group="alone",
         tab="loads"),
    View("rule_bias", "Fixed scores: biases", kind="matrix", series=("rule_bias",), per_run=True, center=0.0,
         group="alone", tab="biases"),
    View("rule_flow", "Fixed scores: who moves where", kind="matrix", series=("rule_flow",), per_run=True,
         group="alone", tab="flow"),
)  # fmt: skip

ARMS = (
    Arm("none", "no balancing", "phenomenon", {"balancing": "none"}, "experts die early, and some come back"),
    Arm("bias", "selection bias", "remedy", {"balancing": "bias"}, "moved by u against each expert's load"),
    Arm("global", "balancing loss, batch", "competitor", {"balancing": "global"}, "over the whole batch"),
    Arm("micro", "balancing loss, sequence", "competitor", {"balancing": "micro"}, "over every sequence by itself"),
    Arm("constant", "in proportion", "ablation", {"rule": "constant", "u": 0.02}, "by what is missing"),
    Arm("inv_sqrt_n", "in proportion, over √n", "ablation", {"rule": "inv_sqrt_n", "u": 0.2}, "steps fall"),
    Arm("inv_n", "in proportion, over n", "ablation", {"rule": "inv_n", "u": 0.5}, "steps fall fast"),
    Arm("sigmoid", "sigmoid scores", "ablation", {"score": "sigmoid", "u": 0.01}, "scores near 1/2, as in DeepSeek-V3"),
    Arm("too_small", "u too small", "ablation", {"u": 1e-5}, "the bias does not catch up"),
    Arm("too_large", "u too large", "ablation", {"u": 0.1}, "the bias overshoots at every step"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "length": 16, "width": 32, "hidden": 32, "eval_every": 5, "eval_sequences": 4, "last_sequences": 4,
}  # fmt: skip
FOUR = ("none", "bias", "global", "micro")
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that it works"),
    Preset("tour", {"steps": 300}, "300 steps; experts die within 100", ("none", "bias")),
    Preset("router", {"mode": "router", "steps": 300}, "the router by itself, all four rules at once: instant",
           ("bias",)),
    Preset("long", {}, "600 steps, the four balancings", FOUR),
    Preset("full", {"steps": 5000, "width": 96, "layers": 4, "experts": 16, "hidden": 96, "length": 128},
           "1.6 million parameters, 16 experts", FOUR),
)  # fmt: skip

DRAWS = tuple(range(20))
SEEDS = (0, 1, 2, 3, 4)
ASSIGNED = "With fixed scores the loads end within a few tokens of even ones."
CLAIMS = (
    Claim(
        "balanced", ASSIGNED, "512 tokens, 8 experts, 2 a token, 300 updates, 20 draws: no load further than 7 from an "
        "even one with steps of 2/n and of 1/√n (shares of the tokens).", figure="at most experts minus 1",
        metric="claims:ends_balanced", direction="higher", rule="exact", seeds=DRAWS, quick=True,
    ),
    Claim(
        "monotonic", "The Lagrangian falls along the updates.", "The same draws: at most a tenth of the steps of "
        "2/n raise it, mean over draws.", metric="claims:seldom_rises", direction="higher", rule="mean", seeds=DRAWS,
        quick=True,
    ),
    Claim(
        "regret", "Online, with steps of u/n, expected regret grows with log n.", "1,000 batches of 512 fresh tokens: "
        "from the 10th on, cumulative regret is linear in log n (R² above .95), and a power law through it has an "
        "exponent below .2, 5 draws.", metric="claims:logarithmic", direction="higher", rule="exact", seeds=SEEDS,
    ),
    Claim(
        "more_even", "The bias balances better than a balancing loss.", "600 steps: the worst layer's imbalance, mean "
        "over the last 50 steps, is lower than with a loss over the batch (alpha .02), in 4 of 5 seeds.",
        arms=("bias", "global"), metric="claims:violation", rule="count", count=4, preset="long", seeds=SEEDS,
    ),
    Claim(
        "no_worse", "It costs the task less than a balancing loss.", "600 steps: cross-entropy on validation text is "
        "lower than with a loss over every sequence (alpha .02), in 4 of 5 seeds.",
        arms=("bias", "micro"), metric="valid_ce", rule="count", count=4, preset="long", seeds=SEEDS,
    ),
)  # fmt: skip

CARD = Card(
    title="Balancing without a loss",
    subtitle="a bias that selects and never weighs",
    paper=Paper(
        "A Theoretical Framework for Auxiliary-Loss-Free Load Balancing of Sparse Mixture-of-Experts in Large-Scale AI "
        "Models", "arXiv", 2025, "https://arxiv.org/abs/2512.03915", 17,
    ),
    phenomenon="Left alone experts die; a balancing loss that keeps them alive pulls at the router beside the task.",
    remedy="Add a bias to each expert's score for selection alone, and move it once a step against the expert's load.",
    config=AlfLb,
    signals=(*SIGNALS, *OWN),
    views=(*(replace(v, scale="log") if v.id == "violation" else v for v in VIEWS), *OWN_VIEWS),
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:Collapse", "detect:BiasWindup", "detect:BiasChatter", "non_finite", "spike"),
    actions=(
        Action("shock", "Shock", "the first expert's score counts three times in every layer, for 50 steps: watch "
               "loads and biases recover"),
    ),
    notes=(
        "Text comes from installed packages: Python's library and reference, torch's headers, scikit-learn's tables.",
        "The theorem is about fixed scores (preset router); in the model scores learn while the bias moves.",
        "With the rule sign loads keep swinging around even ones by about u: monotonic improvement needs small steps.",
        "The rules of monotonic and of the claims in the model were set after a look at seed 0.",
    ),
)  # fmt: skip
