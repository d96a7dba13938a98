"""What imbalance/semixup shows: its signals and views."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.cards.classes import NAMES, class_signals, class_views

LABELS = tuple(f"grade {g}" for g in range(5))
CORNERS = ("x1", "x2", "mixed", "augmented x1")
SIGNALS = (
    *(s for s in class_signals(LABELS, axis="grade") if s.name not in ("acc_many", "acc_medium", "acc_few")),
    Signal(NAMES, "the grades, a JSON list", shape="text"),
    Signal("quadratic_kappa", "agreement with the true grades beyond chance, large errors counting more: 1 is perfect"),
    Signal("mae_grade", "mean absolute error", "grades"),
    Signal("train_balanced_accuracy", "share of the labelled pictures, as many of each grade, that are graded right",
           "%"),
    Signal("labels", "labelled pictures of all grades", "pictures"),
    Signal("consistency_in", "squared distance of the answers to an unlabelled picture and its augmentation, mean"),
    Signal("consistency_out", "squared distance of the answer to a mixed picture and the mix of the answers; l is "
           "the least weight"),
    Signal("confidence_gap", "largest probability on labelled pictures minus that on unlabelled ones, means", "points"),
    Signal("mean_entropy", "entropy of the mean answer on unlabelled pictures, of ln 5: near 0, all are one grade",
           healthy=(0.5, None)),
    Signal("information", "of it, what answers to single pictures say (mutual information), of ln 5: 0, all answers "
           "are the same", healthy=(0.1, None)),
    Signal("triangle_x", "where the answers to four pictures lie, first principal axis of the probabilities on "
           "unlabelled pictures: it grows with the grade", shape="vector", axis="picture", labels=CORNERS),
    Signal("triangle_y", "the same, second axis: away from the middle grade", shape="vector", axis="picture",
           labels=CORNERS),
    Signal("loss", "labelled loss plus the weighted terms"),
    Signal("loss_labelled", "cross-entropy of labelled pictures, mixed where that is on", "nats"),
    Signal("loss_cons", "on the manifold: augmented against plain, weighted"),
    Signal("loss_mixup", "interpolation: mixed picture against mixed logits, weighted"),
    Signal("loss_cons_mixup", "off the manifold: mixed picture against its dominant parent, weighted"),
    Signal("loss_cons_aug_mixup", "the same against that one's augmentation, weighted"),
    Signal("coef_now", "what the ramp-up leaves of the coefficients: 0 to 1"),
)  # fmt: skip

VIEWS = (
    View("balanced", "Balanced accuracy", unit="%", group="accuracy", tab="balanced", series=("balanced_accuracy",),
         references=(Reference(20, "guessing"),), subtitle="mean over five synthetic grades of real pictures"),
    View("kappa", "Quadratic kappa", group="accuracy", tab="kappa", series=("quadratic_kappa",),
         references=(Reference(1, "perfect"), Reference(0, "chance"))),
    View("mae", "Mean error", unit="grades", group="accuracy", tab="error", series=("mae_grade",)),
    View("by_labels", "Accuracy by number of labels", kind="scatter", unit="%", series=("labels", "balanced_accuracy"),
         group="accuracy", tab="by labels", subtitle="a dot a run: start more with other labels"),
    View("train", "Labelled against new pictures", unit="%", range=(0, 100), group="starved", tab="accuracy",
         series=(Series("train_balanced_accuracy", "labelled", dash=True), Series("balanced_accuracy", "new")),
         subtitle="balanced accuracy; dashed: on the labelled pictures"),
    View("confidence_gap", "Confidence on labelled minus unlabelled", unit="points", series=("confidence_gap",),
         group="starved", tab="confidence", references=(Reference(0, "none"),)),
    View("terms", "Unlabelled loss", kind="area", per_run=True, group="loss", tab="four terms",
         series=(Series("loss_cons", "on"), Series("loss_mixup", "interpolation"), Series("loss_cons_mixup", "off"),
                 Series("loss_cons_aug_mixup", "off, augmented")), subtitle="each weighted, ramp-up included"),
    View("loss", "Loss", group="loss", tab="all", series=(Series("loss"), Series("loss_labelled", "labelled",
         dash=True)), subtitle="dashed: of labelled pictures"),
    View("coef_now", "Ramp-up", group="loss", tab="ramp-up", series=("coef_now",), range=(0, 1)),
    View("triangle", "Four answers", kind="scatter", series=("triangle_x", "triangle_y"), path=False,
         group="consistency", tab="triangle", subtitle="x1 of grade 1, x2 of grade 3, their mix, augmented x1"),
    View("consistency", "Inconsistency", scale="log", group="consistency", tab="in and out",
         series=(Series("consistency_in", "on the manifold"), Series("consistency_out", "off it", dash=True)),
         subtitle="squared distance of probabilities; dashed: off the manifold"),
    View("information", "What answers say", range=(0, 1), group="consistency", tab="information",
         series=(Series("information", "of each picture"), Series("mean_entropy", "entropy of the mean", dash=True)),
         references=(Reference(0.1, "next to nothing"),), subtitle="of ln 5; dashed: entropy of the mean answer"),
    *class_views(grouped=False, axis="grade"),
)  # fmt: skip
