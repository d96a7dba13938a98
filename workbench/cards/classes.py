"""What is shown of any classifier, class by class: signals and views for a card. `workbench.PerClass` emits them."""

from __future__ import annotations

from workbench.cards.declarations import Reference, Series, Signal, View

#: A run that has no card says by this text signal which class is which, as a JSON list.
NAMES = "class_names"


def class_signals(labels: tuple[str, ...] = (), *, axis: str = "class") -> tuple[Signal, ...]:
    """The signals that `workbench.PerClass` emits, for classes in this order."""
    return (
        Signal("accuracy", "share of the examples that are classified right", "%", healthy=(None, None)),
        Signal("balanced_accuracy", "mean over classes of their accuracy", "%", main=True),
        Signal("acc_per_class", "accuracy on the examples of each class (its recall)", "%", shape="vector", axis=axis,
               labels=labels),
        Signal("confusion", "of the examples of each class (a row), the share that is taken for each", "%",
               shape="matrix", axis=f"true {axis} × predicted {axis}", sides=(labels, labels)),
        Signal("acc_many", "mean accuracy of the classes with many training examples", "%"),
        Signal("acc_medium", "mean accuracy of the classes between", "%"),
        Signal("acc_few", "mean accuracy of the classes with few training examples", "%"),
        Signal("worst_class_acc", "accuracy of the worst class", "%"),
        Signal("harmonic_mean_acc", "harmonic mean of the classes' accuracies: 0 if one class is lost", "%"),
        Signal("geometric_mean_acc", "geometric mean of the classes' accuracies: 0 if one class is lost", "%"),
    )  # fmt: skip


def class_views(*, grouped: bool = True, axis: str = "class") -> tuple[View, ...]:
    """Accuracy a class over time, groups of classes, means, and the confusion matrix: four charts in two places.

    `grouped`: whether training counts are known, so that there are classes with many and with few examples.
    """
    groups = (
        View("class_groups", "Accuracy by how many examples a class has", unit="%", range=(0, 100), group="classes",
             tab="groups", series=(Series("acc_many", "many"), Series("acc_medium", "medium"),
                                   Series("acc_few", "few", dash=True)), subtitle="dashed: the classes with few"),
    )  # fmt: skip
    return (
        View("acc_per_class", f"Accuracy of each {axis}", kind="heatmap", unit="%", range=(0, 100),
             series=("acc_per_class",), per_run=True, group="classes", tab="each"),
        *(groups if grouped else ()),
        View("class_means", "One number for all classes", unit="%", range=(0, 100), group="confusion", tab="means",
             series=(Series("balanced_accuracy", "balanced"), Series("accuracy", "plain"),
                     Series("worst_class_acc", "worst class", dash=True)),
             subtitle="dashed: the worst class", references=(Reference(100, "all right"),)),
        View("confusion", "What is taken for what", kind="matrix", unit="%", range=(0, 100), series=("confusion",),
             per_run=True, group="confusion", tab="confusion"),
    )  # fmt: skip
