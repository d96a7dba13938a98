"""The experiment experts/upscale: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Paper, Preset, Reference, Series, Signal, View
from workbench.methods.experts._shared.shown import BORDER, COST, SIGNALS, STAGED, VIEWS
from workbench.methods.experts.upscale.knobs import Upscale

GROWS = "recipe grow"
OWN = (
    Signal("growth_jump", "loss on validation text behind growth minus before it", "nats/byte", healthy=(None, 0.05),
           only=GROWS),
    Signal("experts_jump", "the same where experts are made", "nats/byte", healthy=(None, 0.02), only=GROWS),
    Signal("recovery_steps", "steps behind growth until the small network's loss is reached, at the looks", "steps",
           only="reached"),
    Signal("symmetry", "cosine of added neurons with those they stand for, mean over layers", healthy=(None, 0.99),
           only=GROWS),
    Signal("copy_cosine", "the same for each added neuron", shape="matrix", axis="layer × neuron", only=GROWS),
    Signal("expert_similarity", "cosine between the weights of two experts, mean over pairs", shape="vector",
           axis="layer"),
    Signal("mean_expert_similarity", "the same, mean over layers", healthy=(None, 0.995)),
)  # fmt: skip

OWN_VIEWS = (
    COST,
    BORDER,
    View("symmetry", "Copies stay alike", series=("symmetry",), range=(None, 1), group="border", tab="neurons",
         subtitle="cosine of added neurons with those they stand for", references=(Reference(0.99, "stuck"),)),
    View("expert_similarity", "Likeness of experts", series=(Series("mean_expert_similarity"),), range=(None, 1),
         group="border", tab="experts", references=(Reference(0.995, "still copies"),)),
    View("copy_cosine", "Which copies stay alike", kind="matrix", series=("copy_cosine",), per_run=True, range=(0, 1),
         group="heat", tab="copies", subtitle="a column for each added neuron"),
)  # fmt: skip

ARMS = (
    Arm("fpi", "FPI, stacked", "phenomenon", {"width_rule": "fpi", "depth_rule": "stack"},
        "copies of neurons, which stay copies"),
    Arm("aki", "AKI, interpolated", "remedy", {}, "AquilaMoE: added neurons from the next layer, layers beside their "
        "originals"),
    Arm("exact", "FPI, new layers add nothing", "ablation", {"width_rule": "fpi", "depth_rule": "zero_residual"},
        "keeps the function to rounding"),
    Arm("aki_stack", "AKI, stacked", "ablation", {"depth_rule": "stack"}, "layers 1 2 1 2"),
    Arm("random", "padded", "ablation", {"width_rule": "random", "depth_rule": "stack"}, "fresh weights besides"),
    Arm("scratch", "from scratch", "competitor", {"recipe": "scratch"}, "experts from the first step on"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "grow_at": 4, "experts_at": 8, "length": 16, "width": 16, "hidden": 16, "grown_layers": 2, "layers": 1,
    "eval_every": 3, "eval_sequences": 4, "last_sequences": 4, "warmup": 4,
}  # fmt: skip
TOUR = {"steps": 400, "grow_at": 100, "experts_at": 240, "eval_sequences": 16, "last_sequences": 64}
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that it works"),
    Preset("tour", TOUR, "100 steps small, 140 grown, 160 as experts", ("fpi", "aki")),
    Preset("long", {}, "300 steps a stage", ("fpi", "aki", "scratch")),
    Preset("full", {"steps": 4500, "grow_at": 1500, "experts_at": 3000, "width": 48, "hidden": 96, "length": 128,
                    "experts": 8}, "width 48 to 96, eight experts", ("fpi", "aki", "scratch")),
)  # fmt: skip

SAVES = "Growing a small model saves training of the large one."
SCRATCH = "scratch steps=276"  # as many computed operations as the tour's three stages
CLAIMS = (
    Claim(
        "saves_bytes", SAVES, "Bytes until the validation loss that training from scratch ends with (as many "
        "operations in all): at most .7 times as many, small stage included; every seed.",
        arms=("aki", SCRATCH), metric="claims:bytes_to_target", rule="all_pairs",
    ),
    Claim(
        "saves_operations", SAVES, "The same in computed operations.",
        arms=("aki", SCRATCH), metric="claims:operations_to_target", rule="all_pairs",
    ),
    Claim(
        "aki_is_faster", "Taking added neurons from the next layer and interpolating depth converges faster than "
        "copying and stacking.", "Bytes until that loss: no more with AKI and interpolation than with FPI and "
        "stacking; every seed.",
        arms=("aki", "fpi", SCRATCH), metric="claims:rules_to_target", rule="all_pairs",
    ),
)  # fmt: skip

CARD = Card(
    title="Scale-up and scale-out",
    subtitle="a small network grows and becomes experts",
    paper=Paper(
        "AquilaMoE: Efficient Training for MoE Models with Scale-Up and Scale-Out Strategies", "arXiv", 2024,
        "https://arxiv.org/abs/2408.06567", 36,
    ),
    phenomenon="A network grown by copying keeps its function and then learns slowly: copies of a neuron stay alike.",
    remedy="Take added neurons from the next layer (AKI) and interpolate the depth; then copy into experts.",
    config=Upscale,
    signals=(*SIGNALS, *STAGED, *OWN),
    views=(*VIEWS[:3], *OWN_VIEWS, *VIEWS[3:]),
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:StuckSymmetry", "detect:GrowthJump", "detect:ExpertsIdentical", "non_finite"),
    clears=("stuck_symmetry",),
    reconstruction="AquilaMoE's README, figures and abstract; growth rules from a summary of bert2BERT.",
    notes=(
        "AKI does not keep the function: it jumps by .24 nats on the tour's seed 0, and is back after 25 steps.",
        "It parts the copies, and still ends above FPI there (2.34, 2.32 nats): at this size the remedy does not pay.",
        "The last layer has no next one to take neurons from; its copies stay tied under AKI as well.",
        "Operations are computed from sizes, not measured. The claims' rules were set after a look at seed 0.",
    ),
)  # fmt: skip
