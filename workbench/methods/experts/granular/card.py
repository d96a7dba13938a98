"""The experiment experts/granular: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Reference, Signal, View
from workbench.methods.experts._shared.shown import BORDER, COST, SIGNALS, STAGED, VIEWS
from workbench.methods.experts.granular.knobs import Granular

OWN = (
    Signal("upcycle_jump", "loss on validation text behind the cut minus before it", "nats/byte",
           healthy=(None, 0.02)),
    Signal("subnets", "sets of experts that a layer can choose, as a power of ten"),
    Signal("one_copy", "share of the bytes whose experts are the slices of one copy", shape="vector", axis="layer"),
    Signal("mean_one_copy", "the same, mean over layers", healthy=(None, 0.9)),
    Signal("lift", "how often two experts are chosen together over what chance gives, validation text; 0 for itself",
           shape="matrix", axis="layer × expert × expert"),
    Signal("strong_pairs", "the same, pairs above 2 alone", shape="matrix", axis="layer × expert × expert"),
    Signal("jaccard", "bytes that chose both over bytes that chose either, validation text; 0 for itself",
           shape="matrix", axis="layer × expert × expert"),
    Signal("partners", "experts chosen with one more than twice as often as by chance, mean over experts",
           shape="vector", axis="layer"),
    Signal("partner_entropy", "entropy of an expert's partners over its largest value, mean over experts",
           shape="vector", axis="layer"),
    Signal("lift_spread", "largest distance of a lift from 1, all layers", healthy=(0.1, None)),
)  # fmt: skip

OWN_VIEWS = (
    BORDER,
    View("one_copy", "Slices that stay together", series=("mean_one_copy",), range=(0, 1), group="border",
         tab="cliques", subtitle="share of the bytes that go to all slices of one copy",
         references=(Reference(0.9, "frozen"),)),
    View("lift", "Chosen together, over chance", kind="matrix", series=("lift",), per_run=True, center=1.0,
         group="together", tab="lift", subtitle="experts in order of their copies"),
    View("strong_pairs", "Strong pairs", kind="matrix", series=("strong_pairs",), per_run=True, group="together",
         tab="strong", subtitle="the network of pairs chosen together twice as often as by chance"),
    View("jaccard", "Overlap of experts", kind="matrix", series=("jaccard",), per_run=True, group="together",
         tab="overlap"),
    View("partners", "Partners, shallow to deep", kind="bars", series=("partners",), group="depth", tab="partners",
         subtitle="experts chosen with one more than twice as often as by chance"),
    View("partner_entropy", "Choice of partners", kind="bars", series=("partner_entropy",), group="depth",
         tab="entropy", subtitle="0: always the same; 1: any"),
    View("subnets", "Combinations", kind="bars", series=("subnets",), group="depth", tab="combinations",
         subtitle="sets of experts that a layer can choose, as a power of ten"),
)  # fmt: skip

ARMS = (
    Arm("random", "slices, random router", "phenomenon", {"router_init": "random"},
        "a byte's slices do not add up to the network"),
    Arm("grouped", "slices, grouped router", "remedy", {"router_init": "grouped"},
        "Dynamic-DINO: a byte's slices are one whole copy at first"),
    Arm("zeros", "slices, router of zeros", "ablation", {"router_init": "zeros"},
        "all bytes begin with the first copy"),
    Arm("copies", "whole copies, softmax weights", "competitor",
        {"granularity": 1, "router_init": "random", "weights": "softmax"}, "one expert a byte, weighed below 1"),
    Arm("coarse", "whole copies, weight 1", "competitor", {"granularity": 1, "router_init": "random"},
        "exact, but the router learns from the balancing loss alone"),
    Arm("dense", "dense, continued", "competitor", {"then": "dense"}, "no experts"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "dense_steps": 4, "length": 16, "width": 32, "hidden": 32, "eval_every": 3, "eval_sequences": 4,
    "last_sequences": 4, "copies": 2, "warmup": 4,
}  # fmt: skip
TOUR = {"steps": 400, "dense_steps": 150, "layers": 2, "eval_sequences": 16, "last_sequences": 64}
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that it works"),
    Preset("tour", TOUR, "150 dense steps, then 250 with 16 experts of 64 units", ("random", "grouped")),
    Preset("long", {}, "400 dense steps, then 300, three layers", ("random", "grouped", "copies", "dense")),
    Preset("full", {"steps": 5000, "dense_steps": 2000, "width": 96, "layers": 4, "hidden": 384, "length": 128},
           "four layers, 16 experts of 96 units", ("random", "grouped", "copies", "dense")),
)  # fmt: skip

SEEDS = (0, 1, 2, 3, 4)
CLAIMS = (
    Claim(
        "starts_where_it_stood", "Cut and copied with a router to match, the network starts where it stood.",
        "Loss on validation text behind the cut minus before it, in float32, after 400 dense steps: below 1e-4 in size "
        "with the grouped router, above .05 with a random one; five seeds.",
        arms=("grouped", "random"), metric="claims:kept", rule="exact", preset="long",
        overrides={"steps": 402, "eval_every": 100}, seeds=SEEDS,
    ),
    Claim(
        "finer_is_better", "Finer experts, of which more are combined, are better.",
        "16 slices of which 4 are chosen end at least .005 nats a byte below 4 whole copies of which 1 is chosen (the "
        "better of weight 1 and softmax weight), same weights and multiplications; five seeds.",
        arms=("grouped", "coarse", "copies"), metric="valid_ce", margin=0.005, seeds=SEEDS,
    ),
    Claim(
        "patterns_by_depth", "Shallow layers combine experts freely; deep ones have a few fixed partners.",
        "The last layer's experts have 1.5 to 3.5 partners on average, and the entropy of their partners is lower than "
        "in the first layer; at least four of five seeds, with the grouped router, which begins with 3, and with a "
        "random one.",
        figure="deeper layers: fixed collaborative structures with 2–3 partners",
        arms=("grouped",), metric="claims:patterned", direction="higher", rule="count", count=4, margin=1.0,
        seeds=SEEDS,
        also=(Comparison(arms=("random",), margin=1.0),),
    ),
)  # fmt: skip

CARD = Card(
    title="Granular experts",
    subtitle="from a dense network to many small experts without a jump",
    paper=Paper(
        "Dynamic-DINO: Fine-Grained Mixture of Experts Tuning for Real-time Open-Vocabulary Object Detection",
        "ICCV", 2025, "https://arxiv.org/abs/2507.17436", 9,
    ),
    phenomenon="A trained network turned into experts loses what it knew: the chosen slices do not add up to it.",
    remedy="Give all slices of a copy one router row, so that the first step computes what the dense network did.",
    config=Granular,
    signals=(*SIGNALS, *STAGED, *OWN),
    views=(*VIEWS[:3], COST, *OWN_VIEWS, *VIEWS[3:]),
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:UpcycleJump", "detect:FrozenCliques", "detect:NoStructure", "non_finite"),
    clears=("upcycle_jump",),
    reconstruction="The authors' code is not public; the initialisation follows the abstract.",
    notes=(
        "The mechanism is tested on a byte-level language model; the paper's detector is far outside a CPU's budget.",
        "Whole copies start exactly, too, if the one expert's weight is 1; but then its router gets no gradient.",
        "The claims' rules were set after a look at seed 0.",
    ),
)  # fmt: skip
