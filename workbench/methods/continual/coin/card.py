"""The experiment continual/coin: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Action, Arm, Card, Claim, Paper, Preset, Probe
from workbench.methods.continual.coin.knobs import Coin
from workbench.methods.continual.coin.shows import SIGNALS, VIEWS

FIXED = {"fixed_9": 0.1, "fixed_99": 0.01, "fixed_997": 0.003, "fixed_999": 0.001}
GROUPED = {"adapters": "grouped", "threshold": 0.15}
ARMS = (
    Arm("sequential", "sequential tuning", "phenomenon", {"mode": "none"}, "one adapter, task after task, no average"),
    Arm("dynamic", "dynamic average alone", "ablation", {"mode": "dynamic"},
        "one adapter; from the second task on its weights become a dynamic average, with a factor for small tensors"),
    Arm("grouped", "grouping and dynamic average", "remedy", {"mode": "dynamic", **GROUPED},
        "the whole method: similar instructions share an adapter, and the average runs where one is used again"),
    Arm("grouped_plain", "grouping alone", "ablation", {"mode": "none", **GROUPED}, "the same without the average"),
    Arm("from_start", "dynamic average from the first task", "ablation", {"mode": "dynamic", "average_new": True},
        "the average also while an adapter is new (ours): no task is ever learned in full"),
    Arm("paper_code", "dynamic, the authors' constant", "ablation", {"mode": "dynamic", "factor": 2.0},
        "factor 2: on small tensors the fallback runs most of the time"),
    Arm("long_window", "dynamic, long window", "ablation", {"mode": "dynamic", "factor": 0.005},
        "factor .005: less is forgotten, and little is learned"),
    *(
        Arm(name, f"fixed decay {1 - step:g}", "competitor", {"mode": "fixed", "one_minus_decay": step},
            "one constant for all tensors and steps")
        for name, step in FIXED.items()
    ),
    Arm("separate", "one adapter a task", "competitor", {"mode": "none", "adapters": "separate"},
        "the task is told at test time: nothing can be forgotten, at the price of parameters"),
    Arm("joint", "all tasks at once", "competitor", {"mode": "none", "joint": True}, "the upper bound"),
)  # fmt: skip

SMOKE = {
    "steps": 42, "steps_per_task": 7, "train_images": 500, "batch_size": 8, "probe_images": 20, "test_images": 40,
}  # fmt: skip
FULL = {"steps": 6000, "steps_per_task": 1000, "train_images": 60_000, "test_images": 5000}
PRESETS = (
    Preset("smoke", SMOKE, "forty-two steps, to see that everything works"),
    Preset("tour", {}, "6 tasks of 300 steps; sequential tuning forgets within seconds",
           ("sequential", "dynamic", "grouped")),
    Preset("conflict", {"questions": "conflict", "instruction_scale": 1.0},
           "the worst case: the last task contradicts the first, and instructions are hard to tell apart",
           ("sequential", "dynamic")),
    Preset("full", FULL, "6 tasks of 1,000 steps on 60,000 images", ("sequential", "fixed_999", "dynamic", "grouped")),
)  # fmt: skip

LESS = "The dynamic average forgets less than sequential tuning."
BALANCE = "A dynamic coefficient balances stability and plasticity where every constant fails at one of them."
FIGURE = "forgetting on LLaVA-7B falls from 5.42 (sequential LoRA) to 1.93 (abstract)"
SEEDS = (0, 1, 2, 3, 4)
CONSTANTS = "above the best of the fixed decays .9, .99, .997 and .999 at each seed"
CLAIMS = (
    Claim(
        "less_forgetting", LESS, "Toy instruction tuning, 6 tasks of 300 steps: forgetting with factor .05 is below "
        "that of sequential tuning (one adapter, the average from the second task on).",
        figure=FIGURE, arms=("dynamic", "sequential"), metric="forgetting", seeds=SEEDS,
    ),
    Claim(
        "less_forgetting_grouped", "The method forgets less than sequential tuning.", "The same for the whole method: "
        "grouped adapters with the average where one is used again.",
        figure=FIGURE, arms=("grouped", "sequential"), metric="forgetting", seeds=SEEDS,
    ),
    Claim(
        "average_within_groups", LESS, "With grouped adapters, forgetting with the average is below that without: what "
        "the average adds to the grouping.", arms=("grouped", "grouped_plain"), metric="forgetting", seeds=SEEDS,
    ),
    Claim(
        "beats_constants", BALANCE, f"Final average accuracy with factor .05 (fixed in advance) {CONSTANTS}.",
        figure=FIGURE, arms=("dynamic", *FIXED), metric="top1_acc_stream", direction="higher", seeds=SEEDS,
    ),
    Claim(
        "beats_constants_from_start", BALANCE, "The same where all averages run from the first task on (ours): final "
        f"average accuracy with factor .05 {CONSTANTS}.", figure=FIGURE,
        arms=tuple(f"{a} average_new=true" for a in ("dynamic", *FIXED)), metric="top1_acc_stream",
        direction="higher", seeds=SEEDS,
    ),
    Claim(
        "beats_constants_paper_code", BALANCE, f"The same with the authors' constant 2: final average accuracy "
        f"{CONSTANTS}. (On tensors this small the fallback runs.)",
        figure=FIGURE, arms=("paper_code", *FIXED), metric="top1_acc_stream", direction="higher", seeds=SEEDS,
    ),
    Claim(
        "small_tensors_fall_back", "The coefficient adapts to each tensor and step.",
        "At the same mean absolute gradient, change and distance, the formula with the constant 2 is outside (0, 1) "
        "for a tensor of 1,000 entries and inside for one of 100,000, for every seed (no training).",
        metric="claims:small_tensors_fall_back", direction="higher", rule="exact", seeds=(0, 1, 2), quick=True,
    ),
)  # fmt: skip

CARD = Card(
    title="Dynamic EMA (CoIN)",
    subtitle="toy instruction tuning that does not overwrite itself",
    paper=Paper("Large Continual Instruction Assistant", "ICML", 2025, "https://arxiv.org/abs/2410.10868", 18),
    phenomenon="Adapters tuned task after task overwrite what earlier instructions put there.",
    remedy="Average the weights, with a coefficient for each tensor and step; group similar instructions.",
    config=Coin,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(Probe("accuracy", "accuracy of each task", "200 test images with every question", every=20),),
    actions=(Action("replace", "Replace weights by average", "now, inside the task; the average goes on"),),
    detectors=("detect:EmaNotDynamic", "detect:PlasticityLoss", "detect:Forgetting", "non_finite"),
    data=("fashion_mnist",),
    notes=(
        "Toy instruction tuning: real pictures and real words, a small frozen network in place of a language model.",
        "One adapter with the average from the second task on forgets nearly as much as sequential tuning here.",
        "What is kept is kept by the grouping: the average on top learns less of the new and keeps no more.",
        "The paper's body was not at hand; the method follows the authors' code and abstract.",
    ),
)  # fmt: skip
