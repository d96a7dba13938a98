"""The experiment imbalance/comic: its arms, sizes, claims and the card."""

from __future__ import annotations

from workbench.cards import Arm, Card, Claim, Comparison, Paper, Preset
from workbench.methods.imbalance.comic.knobs import Comic
from workbench.methods.imbalance.comic.shows import SIGNALS, VIEWS

BCE = {"loss": "bce", "corrector": "off"}
ARMS = (
    Arm("full_labels", "no label missing", "ablation", {**BCE, "missing_rate": 0.0}, "cross-entropy, the reference"),
    Arm("bce", "labels missing", "phenomenon", BCE, "cross-entropy takes missing labels for negatives"),
    Arm("multi_focal", "multi-focal loss", "ablation", {"corrector": "off"}, "class weights, probability shift, focus"),
    Arm("fixed", "recall above .7", "ablation", {"corrector": "fixed"}, "the paper's corrector: one threshold for all"),
    Arm("comic_lite", "gated recall", "remedy", {}, "multi-focal, and the most probable negatives of each class"),
    Arm("bce_gated", "gated recall, plain loss", "ablation", {"loss": "bce"}, "the corrector without the modifier"),
    Arm("prior", "prior-focal, recall above .7", "ablation",
        {"loss": "prior_focal", "weight_power": 1 / 3, "corrector": "fixed"}, "as the authors configure it"),
    Arm("balance", "three networks", "ablation", {"networks": "three"}, "head, tail, balanced: each with its sampler"),
    Arm("asymmetric", "asymmetric loss", "competitor", {"loss": "asymmetric", "gamma_neg": 4.0, "corrector": "off"},
        "shift and focus without class weights"),
    Arm("class_balanced", "class-balanced loss", "competitor", {"loss": "class_balanced", "corrector": "off"},
        "cross-entropy with a weight a class"),
)  # fmt: skip

SMOKE = {"steps": 40, "train_examples": 400, "corrector_start": 1, "min_precision": 0.0}
MOSAICS = {"data": "mosaics", "train_examples": 2000, "steps": 945}
PAIR = ("bce", "comic_lite")
PRESETS = (
    Preset("smoke", SMOKE, "three epochs, to see that everything works"),
    Preset("tour", {}, "films, 32 epochs: seconds", ("bce", "fixed", "comic_lite")),
    Preset("complete", {"missing_rate": 0.0}, "no label is missing: whatever is recalled is false",
           ("fixed", "comic_lite")),
    Preset("mosaics", MOSAICS, "four garments in a picture (a synthetic composite), 15 epochs: half a minute", PAIR),
    Preset("full", {"steps": 1740}, "films, 60 epochs, everything the paper has",
           ("full_labels", "bce", "comic_lite", "prior", "balance")),
)  # fmt: skip

SEEDS = (0, 1, 2, 3, 4)
STATEMENT = "Modifier and corrector raise mean average precision, most for the classes with few labels."
FIGURE = "PLT-COCO total 55.08 (many 49.21, medium 60.08, few 55.36), PLT-VOC 81.53 (tables)"
FEW = (Comparison(metric="map_few", direction="higher", margin=2.0),)
CLAIMS = (
    Claim(
        "better_on_films", STATEMENT, "Film genres, 40 % of the labels missing: the multi-focal loss with the gated "
        "corrector ends at least 1 point above cross-entropy in all, and 2 in the classes with few labels.",
        figure=FIGURE, arms=("comic_lite", "bce"), metric="map_total", direction="higher", margin=1.0, seeds=SEEDS,
        also=FEW,
    ),
    Claim(
        "better_on_mosaics", STATEMENT, "The same on mosaics of garments, a synthetic composite whose labels a small "
        "convolutional network finds.", figure=FIGURE, arms=("comic_lite", "bce"), metric="map_total",
        direction="higher", margin=1.0, preset="mosaics", seeds=SEEDS, also=FEW,
    ),
    Claim(
        "invents_labels", "The corrector finds missing labels.", "No label is missing: the gated corrector recalls at "
        "most a tenth of the labels that the fixed threshold recalls, mean over epochs.",
        arms=("comic_lite missing_rate=0", "fixed missing_rate=0"), metric="claims:recalled", direction="lower",
        factor=0.1, seeds=SEEDS,
    ),
    Claim(
        "truer_recalls", "The corrector finds missing labels.", "40 % missing: of what the gate lets through at least "
        "5 points more is true than of what the fixed threshold recalls, mean over epochs.",
        arms=("comic_lite", "fixed"), metric="claims:precision", direction="higher", margin=5.0, seeds=SEEDS,
    ),
)  # fmt: skip

CARD = Card(
    title="Long tails with missing labels",
    subtitle="when an absent label may mean nobody wrote it down",
    paper=Paper(
        "Learning in Imperfect Environment: Multi-Label Classification with Long-Tailed Distribution and Partial "
        "Labels", "ICCV", 2023, "https://arxiv.org/abs/2304.10539", 52,
    ),
    phenomenon="Labels that nobody recorded are trained as negatives, and rare classes are never predicted.",
    remedy="Let easy negatives count less, and train the most probable ones of each class as positives, under audit.",
    config=Comic,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    detectors=("detect:TailSilence", "detect:FalseRecall", "non_finite"),
    data=("movielens_100k", "fashion_mnist"),
    reconstruction="networks, samplers and the training loop; the released loop pairs images of one sampler with "
    "labels of another and leaves the balancer out. Losses, corrector and classifiers agree with the authors' code.",
    notes=(
        "Films, 40 % missing, five seeds: mean average precision 37.0, by cross-entropy 40.8 (all labels: 46.7).",
        "The modifier learns and overfits sooner: its best epochs reach 40.1, those of cross-entropy 41.1.",
        "No genre stays silent (cross-entropy: 5 of 18), since probabilities are .31 where .10 of the labels are true.",
        "So a threshold of .7 recalls 505 labels an epoch, 45 % of them true; the gate lets 172 through, 58 % true.",
        "An audit of 2 % sees about five recalled labels an epoch: it closes the gate on clear evidence alone.",
        "Three networks rank films no better: 36.4. With both gammas at 0 the authors drop the focus altogether.",
        "Mosaics are a synthetic composite of Fashion-MNIST; some of their classes are harder, whatever their number.",
    ),
)  # fmt: skip
