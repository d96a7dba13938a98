"""The knobs of imbalance/semixup."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.imbalance.semixup import unlabelled

GRADES = 5
SHARES = (39, 18, 26, 13, 4)  # % of KL 0 to 4
UNLABELLED, LABELLED, DATA, LOOK = "Unlabelled pictures", "Labelled pictures", "Data", "Looking"


@dataclass
class Semixup(Config):
    """Knobs of few labels and many pictures without."""

    steps: int = control(
        1500, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    method: str = control(
        "semixup", choices=unlabelled.names(), when="launch", fork=True, group=UNLABELLED,
        help="what is done with pictures without labels; none: supervised",
    )  # fmt: skip
    coef_cons: float = control(
        2.0, min=0, max=8, step=0.1, label="on the manifold", group=UNLABELLED,
        help="a picture and its augmentation are answered alike",
    )  # fmt: skip
    coef_mixup: float = control(
        2.0, min=0, max=8, step=0.1, label="interpolation", group=UNLABELLED,
        help="a mixed picture is answered by the mix of the answers",
    )  # fmt: skip
    coef_cons_mixup: float = control(
        4.0, min=0, max=8, step=0.1, label="off the manifold", group=UNLABELLED,
        help="a mixed picture is answered as its dominant parent is, and as that one's augmentation",
    )  # fmt: skip
    min_lambda: float = control(
        0.55, min=0.5, max=0.95, step=0.01, label="least weight", group=UNLABELLED,
        help="of the dominant parent; near 0.5 the pull to it blurs grades",
    )  # fmt: skip
    distance: str = control("mse", choices=("mse", "kl"), group=UNLABELLED, help="of two answers")
    stop_gradient: bool = control(
        False, group=UNLABELLED, help="no gradient into the undisturbed side; off, as released: into both"
    )
    rampup: int = control(
        500, min=0, max=10**6, unit="steps", group=UNLABELLED,
        help="over which the coefficients grow from nearly 0, as exp(-5 (1 - t)^2); 0: whole from the first step",
    )  # fmt: skip
    unlabelled_ratio: int = control(
        1, min=1, max=6, when="launch", label="unlabelled ratio", group=UNLABELLED,
        help="unlabelled pictures for each labelled one of a batch",
    )  # fmt: skip
    mixup: bool = control(
        False, group=LABELLED,
        help="labelled pictures are mixed in pairs, and so are their labels, as published; here it misleads, for a mix "
        "of a sharp and a blurred picture has sharp edges",
    )  # fmt: skip
    alpha: float = control(0.75, min=0.1, max=4, group=LABELLED, help="of the Beta distribution of mixing weights")
    per_grade: int = control(
        5, min=1, max=50, when="launch", unit="pictures", group=LABELLED, help="of each grade in a labelled batch"
    )
    dropout: float = control(0.35, min=0, max=0.9, step=0.05, group=LABELLED, help="of features, on all batches")
    n_labelled: int = control(
        50, min=10, max=500, scale="log", when="launch", unit="pictures a grade", label="labels", group=DATA,
        help="labelled pictures of each grade",
    )  # fmt: skip
    n_unlabelled: int = control(
        3000, min=50, max=20_000, scale="log", when="launch", unit="pictures", label="unlabelled", group=DATA,
        help="in the shares of KL 0 to 4",
    )  # fmt: skip
    noise: float = control(
        0.08, min=0, max=0.5, step=0.01, when="launch", group=DATA, help="added behind the blur, standard deviation"
    )
    n_test: int = control(
        1000, min=50, max=10_000, scale="log", when="launch", unit="pictures", label="test", group=LOOK,
        help="in the shares of KL 0 to 4",
    )  # fmt: skip
    evaluate_every: int = control(75, min=1, max=10_000, scale="log", unit="steps", group=LOOK, help="and at the end")
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=1e-3))

    def validate(self) -> None:
        """Refuse batches larger than the sets they are drawn from."""
        if self.per_grade > self.n_labelled:
            raise InvalidValue(
                f"per_grade must not exceed n_labelled, the {self.n_labelled} labelled pictures of a grade; got "
                f"{self.per_grade}."
            )
        if (batch := self.unlabelled_batch) > self.n_unlabelled:
            raise InvalidValue(
                f"A batch has {batch} unlabelled pictures (unlabelled_ratio times {GRADES} times per_grade), more than "
                f"the {self.n_unlabelled} there are; raise n_unlabelled or lower unlabelled_ratio."
            )

    @property
    def unlabelled_batch(self) -> int:
        """Unlabelled pictures of a batch."""
        return self.unlabelled_ratio * GRADES * self.per_grade
