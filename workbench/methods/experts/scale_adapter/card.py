"""The experiment experts/scale_adapter: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Reference, Signal, View
from workbench.methods.experts._shared.shown import BORDER, SIGNALS, STAGED, VIEWS
from workbench.methods.experts.scale_adapter.knobs import ScaleAdapter

BINS, LOW, HIGH = 20, -0.5, 1.5  # as in `router`, which imports torch
WEIGHTS = tuple(f"{HIGH - (i + 0.5) * (HIGH - LOW) / BINS:.2f}" for i in range(BINS))
PROBABILITIES = tuple(f"{(i + 0.5) / BINS:.3f}" for i in range(BINS))

EXPERTS = "variant not dense"
OWN = (
    Signal("upcycle_jump", "loss on validation text of the experts minus the dense network's, at the hand-over",
           "nats/byte", healthy=(None, 0.01), only=EXPERTS),
    Signal("coupling", "correlation of the logit that selects an expert with the weight that is applied",
           shape="vector", axis="layer", only=EXPERTS),
    Signal("mean_coupling", "the same, mean over layers", only=EXPERTS),
    Signal("gate_share", "bytes by the share of their weight that the largest one has", shape="histogram",
           edges=(0.0, 1.0, BINS), only=EXPERTS),
    Signal("median_gate_share", "the median share; 1 over top k is even", healthy=(None, 0.95), only=EXPERTS),
    Signal("cloud", "slots by the weight that is applied and the probability that selected", "slots", shape="matrix",
           axis="layer × weight × probability", sides=((), WEIGHTS, PROBABILITIES), only=EXPERTS),
    Signal("interference", "cosine between the gradients of the task and of the balancing loss on the router's weights",
           shape="vector", axis="layer", only=f"alpha above 0, {EXPERTS}"),
)  # fmt: skip

OWN_VIEWS = (
    BORDER,
    View("coupling", "Do selection and weight go together", series=("mean_coupling",), group="gate", tab="coupling",
         subtitle="correlation of the logit that selects with the weight that is applied"),
    View("coupling_layer", "The same by layer", series=("coupling",), per_run=True, group="gate", tab="by layer"),
    View("interference", "Task against balancing loss", series=("interference",), per_run=True, group="gate",
         tab="interference", subtitle="cosine of gradients on the router's weights; below 0 they pull apart"),
    View("cloud", "Probability and weight", kind="matrix", series=("cloud",), per_run=True, group="weights",
         tab="cloud", subtitle="a diagonal is one router for both; a blob are two"),
    View("gate_share", "How much the largest weight has", kind="histogram", series=("gate_share",), group="weights",
         tab="shares"),
    View("median_gate_share", "The median of it", series=("median_gate_share",), group="weights", tab="median",
         references=(Reference(0.95, "monopoly"),)),
)  # fmt: skip

ARMS = (
    Arm("vanilla", "one router for both", "phenomenon", {"variant": "vanilla"}, "weights are the probabilities"),
    Arm("adamoe", "scale adapter", "remedy", {"variant": "adamoe"}, "probabilities plus an adapter's output"),
    Arm("csmoe", "concatenated selection", "competitor", {"variant": "csmoe"},
        "another layer weighs, by input and probabilities"),
    Arm("dense", "dense, continued", "competitor", {"variant": "dense"}, "no experts"),
    Arm("scaled", "as released", "ablation", {"renormalise_init": False}, "the copies begin at top_k / experts"),
    Arm("noisy", "noise on the copies", "ablation", {"noise_std": 0.01}, "experts part at once"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "dense_steps": 4, "length": 16, "width": 32, "hidden": 32, "eval_every": 3, "eval_sequences": 4,
    "last_sequences": 4, "warmup": 4,
}  # fmt: skip
FOUR = ("vanilla", "adamoe", "csmoe", "dense")
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that it works"),
    Preset("tour", {"steps": 400, "dense_steps": 150, "layers": 2}, "150 dense steps, then 250 with 4 experts",
           ("vanilla", "adamoe")),
    Preset("long", {}, "300 dense steps, then 400, three layers", FOUR),
    Preset("full", {"steps": 5000, "dense_steps": 2000, "width": 96, "layers": 4, "experts": 8, "length": 128},
           "four layers of 8 experts", FOUR),
)  # fmt: skip

SEEDS = (0, 1, 2, 3, 4)
BETTER = "Selection and weights that are decoupled do better than one router for both."
FIGURE = "+1.8 % on LIBERO, +9.3 % on RoboTwin, +21.5 % on a robot (abstract)"
CLAIMS = (
    Claim(
        "lower_loss", BETTER, "150 dense steps, then 250 with 4 experts, 2 a byte, alpha .1: cross-entropy on "
        "validation text is at least .01 nats lower with the adapter, and coupling is lower, in 4 of 5 seeds.",
        figure=FIGURE,
        arms=("adamoe", "vanilla"), metric="valid_ce", margin=0.01, rule="count", count=4, seeds=SEEDS,
        also=(Comparison(metric="claims:coupling", margin=0.0),),
    ),
    Claim(
        "lower_loss_one", BETTER, "The same with 1 expert a byte, the paper's number.", figure=FIGURE,
        arms=("adamoe", "vanilla"), metric="valid_ce", margin=0.01, rule="count", count=4, seeds=SEEDS,
        overrides={"top_k": 1}, also=(Comparison(metric="claims:coupling", margin=0.0),),
    ),
)  # fmt: skip

CARD = Card(
    title="Scale adapter",
    subtitle="one router selects, another one weighs",
    paper=Paper(
        "Expertise need not monopolize: Action-Specialized Mixture of Experts for Vision-Language-Action Learning",
        "arXiv", 2025, "https://arxiv.org/abs/2510.14300", 37,
    ),
    phenomenon="One router selects and weighs: the loss that balances the selection moves the weights, too.",
    remedy="Add a second linear layer to the weights of the chosen experts, free of the selection.",
    config=ScaleAdapter,
    signals=(*SIGNALS, *STAGED, *OWN),
    views=(*VIEWS[:3], *OWN_VIEWS, *VIEWS[3:]),
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:Coupled", "detect:Monopoly", "detect:ScaledStart", "detect:Collapse", "non_finite"),
    clears=("coupled", "scaled_start"),
    notes=(
        "The paper trains a robot's policy; here the layers stand in a byte-level language model, with its text.",
        "The authors' balancing loss is top_k / experts² times the family's, so alpha is not comparable with theirs.",
        "The adapter comes to follow the selection, too: correlation .93 against .98 after 250 steps (seed 0).",
        "The released baseline gathers weights out of range; the one here takes the chosen experts' probabilities.",
    ),
)  # fmt: skip
