"""The experiment experts/top_p: its arms, sizes, claims and the card."""

from __future__ import annotations

from dataclasses import replace

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Reference, Series, Signal, View
from workbench.methods.experts._shared.knobs import DOMAINS
from workbench.methods.experts._shared.shown import COST, SIGNALS, STAGED, VIEWS
from workbench.methods.experts.top_p.knobs import TopPConfig

LEFT_OUT = ("coactivation",)  # a byte's experts are no fixed number
TEXT = "validation text and how many experts each byte takes"

OWN = (
    Signal("number", "routed and null experts that a byte takes, mean over bytes and layers", "experts"),
    Signal("active", "experts that run for a byte: routed and shared", "experts"),
    Signal("null_share", "share of the choices that are null experts", healthy=(None, 0.6)),
    Signal("use", "share of the choices that each routed and null expert gets, all layers", shape="vector",
           axis="expert"),
    Signal("numbers", "bytes of a domain by the number of experts they take, validation text", shape="matrix",
           axis="domain × number", sides=(DOMAINS, ())),
    Signal("domain_number", "mean number of experts by domain, validation text", "experts", shape="vector",
           axis="domain", labels=DOMAINS),
    Signal("null_domain", "share of null experts by domain, validation text", shape="vector", axis="domain",
           labels=DOMAINS),
    Signal("specialist_bpb", "each specialist's loss on its own domain, validation text", "bits/byte", shape="vector",
           axis="domain", labels=DOMAINS),
    Signal("synergy", "loss of the specialist minus that of the mixture, by domain", "nats/byte", shape="vector",
           axis="domain", labels=DOMAINS),
    Signal("mean_synergy", "the same, mean over domains", "nats/byte"),
    Signal("worst_synergy", "the same, the domain that loses most", "nats/byte", healthy=(-0.05, None)),
)  # fmt: skip

OWN_VIEWS = (
    View("levels", "Each domain and its specialist", series=("bpb", Series("specialist_bpb", "specialist", dash=True)),
         unit="bits/byte", per_run=True, group="synergy", tab="levels"),
    View("mean_synergy", "Better than specialists", series=("mean_synergy",), unit="nats/byte", group="synergy",
         tab="mean", references=(Reference(0.0, "a specialist"),),
         subtitle="loss of a domain's own network minus that of the mixture, mean over domains"),
    View("synergy", "The same by domain", series=("synergy",), unit="nats/byte", per_run=True, group="synergy",
         tab="by domain", references=(Reference(0.0, "a specialist"),)),
    View("stage", "Which network trains", series=("stage",), group="synergy", tab="stage"),
    View("numbers", "How many experts a byte takes", kind="matrix", series=("numbers",), per_run=True, group="number",
         tab="by domain", subtitle="share of a domain's bytes; columns: 1, 2, …"),
    View("domain_number", "Mean number by domain", series=("domain_number",), per_run=True, group="number",
         tab="means"),
    View("number", "Experts a byte takes", series=("number", Series("active", "that run", dash=True)), group="number",
         tab="all"),
    View("null_domain", "Null experts by domain", series=("null_domain",), per_run=True, group="null", tab="by domain"),
    View("null_share", "Null experts", series=("null_share",), group="null", tab="all",
         references=(Reference(0.6, "a sink"),)),
    View("use", "Who is chosen", kind="bars", series=("use",), group="null", tab="experts",
         subtitle="routed ones first, then null ones"),
)  # fmt: skip

PLAIN = {"top_p": 0.0, "n_null": 0, "n_shared": 0}
ARMS = (
    Arm("joint", "joint from the start", "phenomenon", {"recipe": "joint", **PLAIN},
        "two experts a byte, texts as large as they are"),
    Arm("curriculum", "curriculum", "remedy", {"recipe": "curriculum"}, "specialists, then the gate, then everything"),
    Arm("balanced", "joint, balanced", "competitor", {"recipe": "balanced", **PLAIN},
        "two experts a byte, equally many sequences a domain"),
    Arm("joint_top_p", "joint with top-P", "ablation", {"recipe": "joint"}, "without the curriculum"),
    Arm("top_2", "curriculum with top-2", "ablation", {"recipe": "curriculum", "top_p": 0.0}, "always two experts"),
    Arm("unfrozen", "no gate's stage of its own", "ablation", {"freeze_experts_in_warmup": False},
        "everything learns at once"),
    Arm("greedy", "top p of .95", "ablation", {"top_p": 0.95}, "nearly all experts for every byte"),
    Arm("many_null", "four null experts", "ablation", {"n_null": 4}, "as many as routed ones"),
)  # fmt: skip

SMOKE = {
    "steps": 14, "base_steps": 2, "specialist_steps": 2, "gate_steps": 2, "length": 16, "width": 32, "hidden": 32,
    "eval_every": 4, "eval_sequences": 4, "last_sequences": 4, "warmup": 2,
}  # fmt: skip
TOUR = {"steps": 800, "base_steps": 40, "specialist_steps": 120, "gate_steps": 40, "eval_sequences": 16}
PAIR = ("joint", "curriculum")
PRESETS = (
    Preset("smoke", SMOKE, "fourteen steps, to see that it works"),
    Preset("tour", TOUR, "40 base steps, 4 × 120 for specialists, 40 for the gate, 240 for everything", PAIR),
    Preset("long", {}, "half as long again: 60, 4 × 180, 60 and 360 steps", (*PAIR, "balanced")),
    Preset("full", {"steps": 6000, "base_steps": 300, "specialist_steps": 900, "gate_steps": 300, "width": 96,
                    "layers": 4, "length": 128, "batch_size": 32}, "four layers", (*PAIR, "balanced")),
)  # fmt: skip

SEEDS = (0, 1, 2)
SIZES = (
    "60 base steps, 4 × 180 for specialists, 60 for the gate and 360 for everything, against 1,200 joint ones with two "
    "experts a byte, texts of 50 : 1"
)
CLAIMS = (
    Claim(
        "synergy", "Trained by the curriculum, the mixture does better than by naive joint training.",
        f"{SIZES}: loss against the specialists', mean over domains, better by .05 nats a byte; the smallest domain's "
        "by .1; three seeds.", figure="less degradation than naive joint training (no number to match)",
        arms=("curriculum", "joint"), metric="mean_synergy", direction="higher", margin=0.05, preset="long",
        seeds=SEEDS, also=(Comparison(metric="claims:smallest", margin=0.1),),
    ),
    Claim(
        "small_domain", "Joint training serves a small domain worse than a network of its own; the curriculum does "
        "not.", f"{SIZES}: the smallest domain's loss ends more than .05 nats a byte above its specialist's after "
        "joint training and not above it after the curriculum, at each of three seeds.",
        arms=("curriculum", "joint"), metric="claims:rescued", rule="exact", preset="long", seeds=SEEDS,
    ),
    Claim(
        "capacity", "Top-P routing takes more experts where they are needed.",
        "After the curriculum the mean number of experts differs between domains by at least .3, at each of three "
        "seeds.", arms=("curriculum",), metric="claims:spread", direction="higher", margin=0.3, rule="all_pairs",
        preset="long", seeds=SEEDS,
    ),
)  # fmt: skip

CARD = Card(
    title="Top-P routing and a curriculum",
    subtitle="as many experts as a byte needs, made of specialists",
    paper=Paper(
        "UniMoE-Audio: Unified Speech and Music Generation with Dynamic-Capacity MoE",
        "arXiv", 2025, "https://arxiv.org/abs/2510.13344", 48,
    ),
    phenomenon="Trained together on domains of unequal size, a small one does worse than with a network of its own.",
    remedy="Specialists first, then experts made of them; each byte takes as many experts as it needs, null ones too.",
    config=TopPConfig,
    signals=(
        *(replace(s, meaning=TEXT) if s.name == "text" else s for s in SIGNALS if s.name not in LEFT_OUT),
        *STAGED, *OWN,
    ),
    views=(
        *VIEWS[:3], COST, *OWN_VIEWS,
        *(
            replace(v, title="How many experts, byte by byte", subtitle=TEXT) if v.id == "text" else v
            for v in VIEWS[3:]
            if not {s.signal for s in v.lines()} & set(LEFT_OUT)
        ),
    ),
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:NegativeSynergy", "detect:CapacitySaturated", "detect:NullSink", "non_finite"),
    clears=("negative_synergy",),
    notes=(
        "Text in place of speech and music: Python's library and reference, torch's headers, scikit-learn's tables.",
        "What hurts a small domain here is that it is seldom drawn: balanced text mends it in joint training, too.",
        "Over all domains joint training gains more in as many steps: most of the curriculum's went to specialists.",
        "The rule of small_domain was set after a look at the tour's runs.",
        "Joint arms train the same specialists beside the mixture, to compare with; they cost them no step.",
        "With the authors' jitter of .01 a byte's routed experts weigh the same; raise it for softer weights.",
    ),
)  # fmt: skip
