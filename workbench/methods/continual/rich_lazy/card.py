"""The experiment continual/rich_lazy: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset, Probe
from workbench.methods.continual.rich_lazy.knobs import RichLazy
from workbench.methods.continual.rich_lazy.shows import SIGNALS, VIEWS

ARMS = (
    Arm("rank_1", "rank 1", "phenomenon", {"rank": 1}, "the recurrent matrix starts with one singular value"),
    Arm("rank_full", "full rank", "remedy", {}, "as drawn: every singular value"),
    Arm("rank_10", "rank 10", "ablation", {"rank": 10}, "between the two"),
    Arm("rank_3", "rank 3", "ablation", {"rank": 3}, "for the linear student"),
    Arm("aligned", "rank 1 along the teacher", "ablation",
        {"setting": "linear", "init": "aligned", "rank": 1, "tasks": 1},
        "linear student: the exception, a low rank that stays lazy"),
    Arm("small", "small weights", "competitor", {"sigma": 0.5}, "the classical way to rich learning"),
    Arm("large", "large weights", "competitor", {"sigma": 3.0}, "the classical way to lazy learning"),
)  # fmt: skip

SMOKE = {
    "steps": 30, "hidden": 20, "rank": 20, "probe": 20, "kernel_probe": 4, "batch_size": 8, "stop_loss": 0.9,
}  # fmt: skip
LINEAR = {
    "setting": "linear", "hidden": 20, "rank": 20, "sigma": 1.0, "steps": 20_000, "stop_loss": 1e-4,
    "optimizer.lr": 0.01, "optimizer.momentum": 0.0,
}  # fmt: skip
ROWS = {"setting": "rows", "sigma": 1.0, "grad_clip": 1.0, "batch_size": 200, "steps": 3000, "stop_loss": 0.8}
PRESETS = (
    Preset("smoke", SMOKE, "thirty steps, to see that everything works"),
    Preset("tour", {}, "decisions until the loss is .08, about 400 steps", ("rank_1", "rank_full")),
    Preset("linear", LINEAR, "linear student with its teacher: the rule and its exception",
           ("rank_full", "rank_3", "rank_1", "aligned")),
    Preset("switch", {"tasks": 3, "steps": 3000}, "the answers are swapped once the rule is learned, and back again: "
           "what remains?", ("rank_1", "rank_full")),
    Preset("rows", ROWS, "Fashion-MNIST row by row: the hard case, where rank may not show", ("rank_1", "rank_full")),
    Preset("full", {"hidden": 300, "rank": 300, "steps": 10_000, "stop_loss": 0.05}, "300 units as in the paper, a "
           "lower loss", ("rank_1", "rank_10", "rank_full")),
)  # fmt: skip

RULE = "Higher initial rank makes learning lazier: smaller changes, higher alignments."
FIGURE = "2AF, DMS, CXT and sequential MNIST, 300 units (figures of kernel and representation alignment)"
CLAIMS = (
    Claim(
        "rank_makes_lazy", RULE, "Decision task, 100 units, both stopped at a loss of .08: kernel alignment of full "
        "rank at least .1 above that of rank 1, and weight change below it.", figure=FIGURE,
        arms=("rank_full", "rank_1"), metric="ntk_alignment", direction="higher", margin=0.1, seeds=(0, 1, 2, 3, 4),
        also=(Comparison(metric="delta_w", direction="lower"),),
    ),
    Claim(
        "linear_rank", RULE, "Linear student, d = h = 20, at a loss of 1e-4: kernel alignment of full rank at least .1 "
        "above that of rank 3.", figure=FIGURE, metric="claims:full_minus_rank_3", direction="higher", margin=0.1,
        seeds=tuple(range(10)), quick=True,
    ),
    Claim(
        "linear_aligned", "The exception: low-rank weights aligned with the task stay lazy.",
        "Linear student: kernel alignment of rank 1 along the teacher at least .2 above that of random rank 1.",
        metric="claims:aligned_minus_random", direction="higher", margin=0.2, seeds=tuple(range(10)), quick=True,
    ),
    Claim(
        "rich_forgets", "Rich learning risks forgetting (a remark of the abstract).",
        "Decision task, the answers swapped once learned, until the loss is .08 again: by the first rule, full rank "
        "answers more of the probe than rank 1.", arms=("rank_full tasks=2 steps=2000", "rank_1 tasks=2 steps=2000"),
        metric="first_rule_accuracy", direction="higher", seeds=(0, 1, 2, 3, 4),
    ),
)  # fmt: skip

CARD = Card(
    title="Rich and lazy learning",
    subtitle="how much the initial rank lets a network change inside",
    paper=Paper(
        "How connectivity structure shapes rich and lazy learning in neural circuits", "ICLR", 2024,
        "https://arxiv.org/abs/2310.08513", 49,
    ),
    phenomenon="At the same loss one network has rebuilt its features, another has hardly changed inside.",
    remedy="Initial weights of full rank at the same norm, or a low rank aligned with the task, learn lazily.",
    config=RichLazy,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("measures", "hidden states", "alignment, signs, singular values and accuracy on the probe", every=20),
        Probe("kernel", "tangent kernel", "against that of step 0; its share of the time is shown", every=100),
    ),
    detectors=("detect:RichRegime", "detect:LazyRegime", "non_finite"),
    data=("fashion_mnist",),
    reconstruction="the low rank aligned with a teacher and the linear student around it (the theorem's text was not "
    "at hand). The measures and the cut of the rank agree with the authors' code.",
    notes=(
        "The decision task is synthetic, after neurogym's.",
        "A single alignment at unequal loss means nothing: compare runs that stopped at the same loss.",
    ),
)  # fmt: skip
