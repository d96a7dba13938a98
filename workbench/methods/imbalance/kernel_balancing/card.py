"""The experiment imbalance/kernel_balancing: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset
from workbench.methods.imbalance.kernel_balancing.knobs import Balancing
from workbench.methods.imbalance.kernel_balancing.shows import SIGNALS, VIEWS

ARMS = (
    Arm("naive", "no weights", "phenomenon", {"base": "none", "balance": "none"}, "ratings as they come"),
    Arm("logistic", "logistic propensity", "phenomenon", {"base": "logistic", "balance": "none"},
        "1 / propensity fitted by cross-entropy on features"),
    Arm("nb", "naive Bayes", "competitor", {"balance": "none"}, "1 / propensity by the label alone"),
    Arm("kernel", "kernels alone", "ablation", {"base": "none"}, "balance on features, blind to the label"),
    Arm("nb_kernel", "naive Bayes × kernels", "remedy", {}, "balance on features from naive-Bayes weights"),
    Arm("authors", "as released", "ablation", {"balance": "alternating", "n_basis": 4, "slack": 0.01},
        "the authors' alternating steps, one hinge for all functions"),
    Arm("true", "true propensity", "competitor", {"base": "true", "balance": "none"}, "known here alone"),
    Arm("dr", "doubly robust", "competitor", {"estimator": "dr"}, "with an imputation model"),
)  # fmt: skip

SMOKE = {"steps": 12, "every": 4, "users": 40, "items": 50, "n_basis": 8, "batch_size": 64}
PRESETS = (
    Preset("smoke", SMOKE, "twelve steps, to see that everything works"),
    Preset("tour", {}, "200 people, 300 films, 300 steps", ("naive", "nb_kernel")),
    Preset("full", {"users": 943, "items": 1682, "density": 0.06, "steps": 2000, "batch_size": 4096},
           "all of MovieLens-100k, about as many ratings as it has", ("naive", "nb", "nb_kernel")),
)  # fmt: skip

SEEDS = (0, 1, 2, 3, 4)
PAPER = "Kernel balancing reduces bias where fitted propensities do not balance (Coat, Yahoo R3, KuaiRec)."
CLAIMS = (
    Claim(
        "balances", PAPER, "200 people × 300 films, selection strength 2: the largest gap of 64 kernel functions is at "
        "most a tenth of that of a logistic propensity on the same features.", arms=("kernel", "logistic"),
        metric="max_balance_gap", direction="lower", factor=0.1, rule="all_pairs", seeds=SEEDS,
    ),
    Claim(
        "risk", PAPER, "Selection strength 3: naive Bayes with kernels estimates the risks of six fixed predictors "
        "with a smaller error than naive Bayes alone.", arms=("nb_kernel mnar_strength=3", "nb mnar_strength=3"),
        metric="risk_error", direction="lower", seeds=SEEDS,
    ),
    Claim(
        "recommends", PAPER, "Selection strength 2: the recommender trained with naive-Bayes × kernel weights has at "
        "least the AUC on evenly drawn pairs of that with naive-Bayes weights.", arms=("nb_kernel", "nb"),
        metric="auc", direction="higher", rule="mean", seeds=SEEDS,
    ),
    Claim(
        "label_matters", "Causal balancing on covariates removes the bias (the paper's title).",
        "Selection by the label, strength 2: kernels on features alone estimate the risks better than no weights, and "
        "by half of the way to the true propensity.", arms=("kernel", "naive"), metric="risk_error", direction="lower",
        seeds=SEEDS, also=(Comparison(metric="claims:left_of_the_way", arms=("kernel", "naive", "true")),),
    ),
)  # fmt: skip

CARD = Card(
    title="Kernel balancing",
    subtitle="weights for ratings that are missing not at random",
    paper=Paper(
        "Debiased Collaborative Filtering with Kernel-Based Causal Balancing", "ICLR", 2024,
        "https://arxiv.org/abs/2404.19596", 56,
    ),
    phenomenon="People rate what they like: risks and recommendations learned from ratings are biased, and a fitted "
    "propensity need not balance.",
    remedy="Weights of largest entropy that balance kernel functions of person and film, from a base weight.",
    config=Balancing,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:UnbalancedPropensity", "detect:WeightsDegenerate", "detect:OutOfReach", "non_finite"),
    clears=("unbalanced_propensity",),
    data=("movielens_100k",),
    reconstruction="the choices worst and adaptive of basis points, which the authors make by gradient steps inside "
    "training. Kernels, propensity and the alternating scheme agree with their code.",
    notes=(
        "Semi-synthetic: films, people and ratings are real, likes are completed by a model, who rates what is drawn.",
        "Kernels on features cannot see a selection by the label itself: naive Bayes does, with evenly drawn labels.",
        "The remedy does not win here: at strength 3 naive Bayes alone errs by 2 % of the risk, with kernels by 7 %.",
        "(The label's factor stands for what features tell of the label, too; balancing them counts it twice.)",
        "A logistic propensity on these three features leaves a gap of .013, the kernels, after clipping, .007.",
    ),
)  # fmt: skip
