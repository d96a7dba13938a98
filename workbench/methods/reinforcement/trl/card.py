"""The experiment reinforcement/trl: its arms, sizes and the card. It makes no claim: nothing of the method is ours."""

from __future__ import annotations

from workbench.cards import Arm, Card, Paper, Preset
from workbench.methods.reinforcement.trl.knobs import Trl
from workbench.methods.reinforcement.trl.shown import SIGNALS, VIEWS

BOLD = 3e-3
ARMS = (
    Arm("bold", "bold steps", "phenomenon", {"optimizer.lr": BOLD}, "ten times the learning rate"),
    Arm("gentle", "gentle steps", "remedy", {"optimizer.lr": 3e-4}, "and a KL to the start"),
    Arm("held", "bold steps, held", "ablation", {"optimizer.lr": BOLD, "beta": 0.2}, "a KL of five times the weight"),
    Arm("lora", "LoRA", "competitor", {"optimizer.lr": BOLD, "lora_rank": 8}, "bold steps of few weights"),
    Arm("brief", "brevity pays", "ablation", {"optimizer.lr": 3e-4, "length_penalty": 0.02},
        "gentle steps, and each token costs a fiftieth of a right answer"),
)  # fmt: skip

INSTRUCT = {"model": "instruct"}
PRESETS = (
    Preset("smoke", {"steps": 6, "batch_size": 8, "group_size": 4, "max_new": 12},
           "six steps of a random Llama, to see that everything works"),
    Preset("tour", INSTRUCT, "sixty steps of the laboratory's instructed model: right answers vanish, or become a rule",
           ("bold", "gentle")),
    Preset("full", {**INSTRUCT, "steps": 400, "batch_size": 128}, "four hundred steps of 128 responses",
           ("bold", "gentle", "lora")),
)  # fmt: skip

CARD = Card(
    title="GRPO by TRL",
    subtitle="any causal language model on your disk, steered live",
    paper=Paper(
        "DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models", "arXiv", 2024,
        "https://arxiv.org/abs/2402.03300",
    ),
    phenomenon="With bold steps GRPO runs away from the model that it should improve, and right answers vanish.",
    remedy="Gentle steps, and a KL to the start; both can be moved while it happens.",
    config=Trl,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    detectors=("hockey_stick", "entropy_collapse", "false_calm", "starved_groups", "kl_runaway", "non_finite"),
    clears=("kl_runaway",),
    data=(),
    notes=(
        (
            "The trainer is TRL's. Its model may be any folder in transformers' format (model=/path); without one it "
            "is a tiny model that is made here, and the language is made up: sums for models of 100,000 weights."
        ),
        "One batch of rollouts serves several steps ('reuse'); what is measured of a batch stands at its first step.",
        "beta may start at 0 and rise: a reference is always kept.",
    ),
)  # fmt: skip
