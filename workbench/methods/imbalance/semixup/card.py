"""The experiment imbalance/semixup: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Paper, Preset
from workbench.methods.imbalance.semixup.knobs import Semixup
from workbench.methods.imbalance.semixup.shows import SIGNALS, VIEWS

ARMS = (
    Arm("failing", "10 labels a grade, no ramp-up", "phenomenon", {"n_labelled": 10, "rampup": 0, "mixup": True},
        "Semixup where it fails: consistency from the first step flattens answers before there is anything to keep"),
    Arm("semixup", "Semixup", "remedy", {}, "consistent on the data manifold, off it, and between the two"),
    Arm("supervised", "supervised", "competitor", {"method": "none"},
        "labelled pictures alone: better on these than on new ones"),
    Arm("starved", "supervised, 10 labels a grade", "phenomenon", {"method": "none", "n_labelled": 10},
        "labelled pictures alone, and few of them: right on these, wrong on every second new one"),
    Arm("mixup", "supervised, mixup", "competitor", {"method": "none", "mixup": True},
        "labelled pictures alone, mixed in pairs"),
    Arm("pi", "Π-model", "competitor", {"method": "pi"}, "consistent under augmentation alone"),
    Arm("ict", "ICT", "competitor", {"method": "ict"}, "consistent under interpolation alone"),
    Arm("mixmatch", "MixMatch, light", "competitor", {"method": "mixmatch"}, "guessed labels, sharpened and mixed"),
    Arm("published", "with labelled mixup", "ablation", {"mixup": True},
        "as published: labelled pictures are mixed too, which misleads where grades are blurs"),
    Arm("no_rampup", "without ramp-up", "ablation", {"rampup": 0}, "whole coefficients from the first step"),
    Arm("no_pair", "without the in-and-out pair", "ablation", {"coef_cons_mixup": 0.0},
        "on the manifold and interpolation alone"),
    Arm("stop_gradient", "with stopped gradients", "ablation", {"stop_gradient": True},
        "no gradient into the undisturbed side"),
    Arm("kl", "with KL", "ablation", {"distance": "kl"}, "divergence in place of squared distance"),
)  # fmt: skip

SMOKE = {
    "steps": 24, "rampup": 8, "n_labelled": 10, "per_grade": 2, "n_unlabelled": 120, "n_test": 100,
    "evaluate_every": 6,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "a few steps, to see that everything works"),
    Preset("tour", {}, "50 labels a grade and 3,000 pictures without, 1,500 steps",
           ("starved", "supervised", "semixup", "failing")),
    Preset("few_labels", {"n_labelled": 10}, "10 labels a grade", ("supervised", "mixup", "semixup", "ict")),
    Preset("baselines", {}, "other uses of the same unlabelled pictures", ("semixup", "mixup", "pi", "ict",
           "mixmatch")),
    Preset("full", {"steps": 15_000, "rampup": 5000, "n_unlabelled": 20_000, "optimizer.lr": 1e-4},
           "ten times the steps at the paper's rate", ("supervised", "mixup", "semixup")),
)  # fmt: skip

SEEDS = (0, 1, 2, 3, 4)
CLAIMS = (
    Claim(
        "better_with_few_labels", "Semixup grades better than a supervised network with as many labels.",
        "Degraded Fashion-MNIST, synthetic grades, 50 labels a grade: balanced accuracy at least 3 points higher than "
        "supervised.", figure="balanced accuracy 71 % with 1/6 of the labels",
        arms=("semixup", "supervised"), metric="balanced_accuracy", direction="higher", margin=3.0, seeds=SEEDS,
    ),
    Claim(
        "label_efficiency", "Semixup needs a sixth of the labels of a supervised network.",
        "With 50 labels a grade balanced accuracy is at least that of the supervised network with 150: it needs three "
        "times as many.", figure="71.0 ± 0.8 % with 1/6 of the labels, supervised 70.9 ± 0.8 % with all (p = .368)",
        arms=("semixup", "supervised n_labelled=150"), metric="balanced_accuracy", direction="higher", rule="mean",
        seeds=SEEDS,
    ),
)  # fmt: skip

CARD = Card(
    title="Semixup",
    subtitle="grading with few labels: consistent on and off the data manifold",
    paper=Paper(
        "Semixup: In- and Out-of-Manifold Regularization for Deep Semi-Supervised Knee Osteoarthritis Severity Grading "
        "from Plain Radiographs", "IEEE TMI", 2020, "https://arxiv.org/abs/2003.01944", 57,
    ),
    phenomenon="With few labels a grade the network is right on these alone, and neighbouring grades are confused.",
    remedy="Ask for like answers to a picture, its augmentation and its mix with another, on unlabelled pictures.",
    config=Semixup,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:ConsistencyCollapse", "detect:LabelStarved", "non_finite"),
    data=("fashion_mnist",),
    reconstruction="network, augmentation and ramp-up; the losses and their gradients agree with golden vectors.",
    notes=(
        "The pictures are real, the grades are synthetic: the strength of a blur, in the shares of KL 0 to 4.",
        ("No gain over a supervised network here: balanced accuracy after 1,500 steps 56.5, 72.5 and 67.9 % (seeds 0, "
         "1, 2), supervised 67.5, 69.9 and 69.9 %; single looks jump by ten points and more."),
        ("Labelled mixup, part of the published method, is off, for a mix of a sharp and a blurred picture has sharp "
         "edges. Supervised with it: 54.3 % (seed 0)."),
        ("With balanced batches a collapse is not one grade for all but one even guess for all: the detector asks for "
         "the information of answers as well as for the entropy of their mean."),
    ),
)  # fmt: skip
