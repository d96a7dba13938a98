"""What imbalance/comic shows: its signals and views."""

from __future__ import annotations

from workbench.cards import Reference, Series, Signal, View
from workbench.methods.imbalance.comic.knobs import GARMENTS, GENRES

#: Where the loss is drawn, for the most and then for the least frequent class.
PROBABILITIES = (*(k / 20 for k in range(1, 20)), 0.98)
POINTS = tuple(f"{which} class, p = {p:.2f}" for which in ("most frequent", "rarest") for p in PROBABILITIES)
CORRECTOR, RECALLED = "corrector fixed or gated", "epochs in which labels are recalled"
SETS = (("", GENRES, "data films"), ("_tiles", GARMENTS, "data mosaics"))

BY_CLASS = tuple(
    Signal(f"{name}{suffix}", meaning, unit, shape="vector", axis="class", labels=labels, only=only)
    for name, meaning, unit in (
        ("ap_per_class", "average precision of each class on the test, from frequent to rare", "%"),
        ("max_probability", "largest probability that a test example gets for each class", ""),
        ("positive_gradient_share", "share of the gradient by a class's logits that recorded positives give", "%"),
    )
    for suffix, labels, only in SETS
)  # fmt: skip

SIGNALS = (
    Signal("map_total", "mean over classes of the average precision on the test, true labels", "%", main=True),
    Signal("map_many", "the same over classes with more than 100 true training labels (mosaics: the first third)", "%"),
    Signal("map_medium", "over those between", "%"),
    Signal("map_few", "over classes with fewer than 20 (mosaics: the last third)", "%"),
    *BY_CLASS,
    Signal("silent_classes", "classes that no test example gets a probability of 0.5 or more for", "classes",
           healthy=(None, 0)),
    Signal("loss", "of the batch, a label; of different losses not to be compared"),
    Signal("recalled_per_epoch", "labels recalled in the epoch", "labels"),
    Signal("recall_precision", "share of them that are true: known here, since we dropped the labels ourselves", "%",
           healthy=(50, None), only=RECALLED),
    Signal("audited_recalls", "audited labels that were recalled in the epoch, or would be if the gate were open",
           "labels", only=CORRECTOR),
    Signal("audited_precision", "share of these that are true: what one can know outside an experiment", "%",
           healthy=(50, None), only="some audited label is recalled"),
    Signal("audited_bound", "with nine chances in ten the share is below this (Wilson's bound)", "%",
           healthy=(50, None), only=CORRECTOR),
    Signal("fixed_threshold", "1 while one threshold for all classes decides what is recalled"),
    Signal("gate_open", "1 if labels may be recalled; gated: while audits do not speak against it"),
    Signal("mean_probability", "mean probability of all labels of the training examples"),
    Signal("label_density", "share of labels that are true"),
    Signal("recorded_density", "share of labels that are recorded as positives"),
    Signal("reliability_probability", "mean probability of a tenth of the test predictions, sorted", shape="vector",
           axis="tenth"),
    Signal("reliability_share", "share of true labels among them", shape="vector", axis="tenth"),
    Signal("surface_probability", "where the loss is drawn", shape="vector", axis="point", labels=POINTS),
    Signal("surface_positive", "loss of a positive, first of the most frequent class, then of the rarest",
           shape="vector", axis="point", labels=POINTS),
    Signal("surface_negative", "loss of a negative, likewise", shape="vector", axis="point", labels=POINTS),
)  # fmt: skip

VIEWS = (
    View("map_total", "Mean average precision", unit="%", series=("map_total",), group="map", tab="all classes"),
    View("map_groups", "Classes with many and with few labels", unit="%", group="map", tab="groups",
         series=(Series("map_many", "many"), Series("map_medium", "medium"), Series("map_few", "few", dash=True)),
         subtitle="dashed: the classes with few"),
    View("ap_per_class", "Average precision of each genre", kind="bars", unit="%", range=(0, 100),
         series=("ap_per_class",), group="classes", tab="films", subtitle="from frequent to rare"),
    View("ap_per_class_tiles", "Average precision of each garment", kind="bars", unit="%", range=(0, 100),
         series=("ap_per_class_tiles",), group="classes", tab="mosaics", subtitle="from frequent to rare"),
    View("recall_precision", "Are recalled labels true?", unit="%", range=(0, 100), group="recall", tab="precision",
         series=(Series("recall_precision"), Series("audited_precision", "audited", dash=True)),
         references=(Reference(50, "half"),), subtitle="dashed: on the audited examples alone"),
    View("recalled_per_epoch", "Labels recalled", series=("recalled_per_epoch",), unit="labels", range=(0, None),
         group="recall", tab="how many"),
    View("gate_open", "May labels be recalled?", series=("gate_open",), range=(0, 1), group="recall", tab="gate"),
    View("reliability", "Is a probability what it says?", kind="scatter", range=(0, 1),
         series=(Series("reliability_probability", "mean probability"),
                 Series("reliability_share", "share of true labels")),
         group="calibration", tab="reliability",
         subtitle="tenths of the test predictions; calibrated ones lie on the diagonal"),
    View("mean_probability", "Probabilities against frequencies", range=(0, None), group="calibration", tab="drift",
         series=(Series("mean_probability"), Series("label_density", "true labels", dash=True)),
         subtitle="dashed: the share of labels that are true"),
    View("silent_classes", "Classes never predicted", series=("silent_classes",), unit="classes", range=(0, None),
         group="calibration", tab="silent"),
    View("max_probability", "Largest probability of each genre", kind="bars", range=(0, 1), series=("max_probability",),
         group="calibration", tab="films"),
    View("max_probability_tiles", "Largest probability of each garment", kind="bars", range=(0, 1),
         series=("max_probability_tiles",), group="calibration", tab="mosaics"),
    View("gradient", "The gradient's positive part", kind="heatmap", unit="%", range=(0, 100),
         center=50.0, series=("positive_gradient_share",), per_run=True, group="gradient", tab="films",
         subtitle="share that recorded positives give; the rest pushes down"),
    View("gradient_tiles", "The gradient's positive part", kind="heatmap", unit="%", range=(0, 100),
         center=50.0, series=("positive_gradient_share_tiles",), per_run=True, group="gradient", tab="mosaics",
         subtitle="share that recorded positives give; the rest pushes down"),
    View("surface_negative", "What a negative costs", kind="scatter", range=(0, None),
         series=(Series("surface_probability", "probability"), Series("surface_negative", "loss")), group="surface",
         tab="negative", subtitle="two curves: the most frequent class and the rarest; move the loss's sliders"),
    View("surface_positive", "What a positive costs", kind="scatter", range=(0, None),
         series=(Series("surface_probability", "probability"), Series("surface_positive", "loss")), group="surface",
         tab="positive", subtitle="two curves: the most frequent class and the rarest"),
    View("loss", "Loss", series=("loss",), scale="log", group="surface", tab="training"),
)  # fmt: skip
