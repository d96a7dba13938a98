"""The experiment experts/bam: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Reference, Series, Signal, View
from workbench.methods.experts._shared.knobs import DOMAINS
from workbench.methods.experts._shared.shown import BORDER, COST, SIGNALS, STAGED, VIEWS
from workbench.methods.experts.bam.knobs import Bam

MIXED, SOFT = "recipe mix", "attention experts"
OWN = (
    Signal("merge_loss", "loss with averaged attention where specialists are mixed, minus their own on their domains",
           "nats/byte", only=MIXED),
    Signal("merge_damage", "loss with averaged attention there, minus that with attention experts", "nats/byte",
           healthy=(None, 0.05), only=MIXED),
    Signal("mixing_loss", "loss of the mixture there, minus the specialists' own on their domains", "nats/byte",
           only=MIXED),
    Signal("behind", "loss of the mixture minus the specialists' own on their domains, validation text", "nats/byte",
           healthy=(None, 0.05), only=MIXED),
    Signal("specialist_cos", "cosine between specialists' attention weights, mean over pairs", shape="vector",
           axis="layer", only=MIXED),
    Signal("specialist_pairs", "the same by pair", shape="matrix", axis="layer × domain × domain", only=MIXED,
           sides=((), DOMAINS, DOMAINS)),
    Signal("bpb_seed", "validation text by domain where the seed branches", "bits/byte", shape="vector", axis="domain",
           labels=DOMAINS, only=MIXED),
    Signal("bpb_specialists", "the same, each specialist on its domain", "bits/byte", shape="vector", axis="domain",
           labels=DOMAINS, only=MIXED),
    Signal("bpb_mixed", "the same where they are mixed", "bits/byte", shape="vector", axis="domain",
           labels=DOMAINS, only=MIXED),
    Signal("attention_load", "mean weight of each attention expert, training batch", shape="matrix",
           axis="layer × expert", only=SOFT),
    Signal("attention_domain", "the same within each domain", shape="matrix", axis="layer × domain × expert",
           sides=((), DOMAINS, DOMAINS), only=SOFT),
    Signal("attention_top", "largest weight that one attention expert has on every domain", shape="vector",
           axis="layer", healthy=(None, 0.9), only=SOFT),
    Signal("attention_specialisation", "how much the attention expert says of the domain, mean over layers", only=SOFT),
)  # fmt: skip

OWN_VIEWS = (
    COST,
    View("stages", "Seed, specialists, mixture", kind="bars", per_run=True, unit="bits/byte", group="mix",
         tab="by stage", subtitle="validation text by domain, each on its own",
         series=(Series("bpb_seed", "seed"), Series("bpb_specialists", "specialists"),
                 Series("bpb_mixed", "just mixed"), Series("bpb", "now"))),
    BORDER,
    View("behind", "Behind the specialists", series=("behind",), unit="nats/byte", group="border", tab="behind",
         subtitle="loss minus that of the specialists on their own domains, validation text",
         references=(Reference(0.0, "as good as they were"),)),
    View("attention_domain", "Whose attention reads which text", kind="matrix", series=("attention_domain",),
         per_run=True, group="heat", tab="attention", subtitle="mean weight of each specialist's attention"),
    View("specialist_pairs", "Likeness of attention", kind="matrix", series=("specialist_pairs",), per_run=True,
         group="heat", tab="divergence", subtitle="cosine between specialists' attention weights"),
    View("specialist_cos", "Specialists diverge", series=("specialist_cos",), per_run=True, group="mix",
         tab="divergence", subtitle="cosine between their attention weights, by layer"),
)  # fmt: skip

ARMS = (
    Arm("btx", "averaged attention", "phenomenon", {"attention": "averaged"},
        "Branch-Train-Mix: feed-forward experts, everything else averaged"),
    Arm("bam", "attention experts", "remedy", {}, "BAM: every specialist's attention, softly mixed"),
    Arm("bam_kv", "attention experts, shared keys and values", "remedy", {"attention": "experts_shared_kv"},
        "BAM with one model's memory of keys and values"),
    Arm("bam_top1", "one attention expert a byte", "ablation", {"attention_routing": "top1"}, "in place of all"),
    Arm("dense", "dense, continued", "competitor", {"recipe": "dense"}, "the seed goes on"),
)  # fmt: skip

SMOKE = {
    "steps": 12, "seed_steps": 4, "branch_steps": 4, "length": 16, "width": 32, "hidden": 32, "layers": 2,
    "eval_every": 3, "eval_sequences": 4, "last_sequences": 4, "batch_size": 8, "warmup": 4,
}  # fmt: skip
TOUR = {"steps": 400, "seed_steps": 120, "branch_steps": 120, "layers": 2, "eval_sequences": 16, "last_sequences": 64}
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that it works"),
    Preset("tour", TOUR, "120 steps seed, 120 specialists, 160 mixture", ("btx", "bam")),
    Preset("long", {}, "300, 200 and 300 steps, three layers", ("btx", "bam", "bam_kv", "dense")),
    Preset("full", {"steps": 4000, "seed_steps": 1500, "branch_steps": 1000, "width": 96, "layers": 4, "length": 128},
           "four layers of width 96", ("btx", "bam", "bam_kv", "dense")),
)  # fmt: skip

MIXES = "Making experts of attention, too, is better than averaging it."
KINDS = "All parameters apart are best, shared keys and values second, averaged attention last."
CLAIMS = (
    Claim(
        "attention_experts", MIXES, "Same bytes: loss on validation text at the end, all parameters apart against "
        "averaged attention, at least .01 nats a byte lower.",
        figure="lower perplexity, 590 M to 2 B parameters (abstract)", arms=("bam", "btx"), metric="valid_ce",
        margin=0.01,
    ),
    Claim(
        "order", KINDS, "Same bytes: loss on validation text at the end, each at least .01 nats a byte below the next.",
        arms=("bam", "bam_kv"), metric="valid_ce", margin=0.01,
        also=(Comparison(arms=("bam_kv", "btx"), margin=0.01),),
    ),
    Claim(
        "equal_operations", MIXES, "Same computed operations: averaged attention trains on for 340 steps in place of "
        "160 as a mixture.",
        figure="lower perplexity under both budgets (abstract)", arms=("bam", "btx steps=580"), metric="valid_ce",
    ),
)  # fmt: skip

CARD = Card(
    title="Branch, attend, mix",
    subtitle="specialists become one mixture, attention included",
    paper=Paper(
        "BAM! Just Like That: Simple and Efficient Parameter Upcycling for Mixture of Experts", "NeurIPS", 2024,
        "https://arxiv.org/abs/2408.08274", 41,
    ),
    phenomenon="Mixed with averaged attention, specialists lose what each of them had learned.",
    remedy="Make experts of their attention, too, and weigh their outputs softly.",
    config=Bam,
    signals=(*SIGNALS, *STAGED, *OWN),
    views=(*VIEWS[:3], *OWN_VIEWS, *VIEWS[3:]),
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:Behind", "detect:MergeDamage", "detect:AttentionCollapse", "non_finite"),
    reconstruction="No public code; after abstract and summaries.",
    notes=(
        "In the branch stage a batch is shared out by domain: every stage sees the same bytes a step.",
        "Operations are computed from sizes; a soft mix of attention costs as many layers as there are specialists.",
        "Just mixed, both kinds of attention are equally far behind the specialists; experts come back sooner.",
        "A baseline of equal parameters, with more feed-forward experts, is left out.",
        "The claims' rules were set after a look at the same seeds: they restate what was seen, with its spread.",
    ),
)  # fmt: skip
