"""The knobs of imbalance/comic."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control

#: Classes of the two data sets from the most to the least frequent, as they are shown.
GENRES = (
    "Drama", "Comedy", "Action", "Thriller", "Romance", "Adventure", "Children's", "Sci-Fi", "Crime", "Horror", "War",
    "Mystery", "Musical", "Animation", "Documentary", "Western", "Fantasy", "Film-Noir",
)  # fmt: skip
GARMENTS = (
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
LOSSES = ("bce", "multi_focal", "prior_focal", "asymmetric", "class_balanced")
LOSS, CORRECTOR, LABELS, NETWORK = "Loss", "Corrector", "Labels", "Network"


@dataclass
class Comic(Config):
    """Knobs of long tails with missing labels."""

    steps: int = control(
        928, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run",
        help="training batches; an epoch of the films is 29 batches of 32",
    )  # fmt: skip
    loss: str = control(
        "multi_focal", choices=LOSSES, group=LOSS,
        help="bce: plain; multi_focal, prior_focal: COMIC's two modifiers; asymmetric: without class weights; "
        "class_balanced: bce with a weight a class",
    )  # fmt: skip
    gamma_neg: float = control(
        3.0, min=0, max=6, label="focusing of negatives", group=LOSS,
        help="how little an easy negative counts: the modifiers add the class's weight to it",
    )  # fmt: skip
    gamma_pos: float = control(
        0.0, min=0, max=3, label="focusing of positives", group=LOSS, help="how little an easy positive counts"
    )
    clip: float = control(
        0.05, min=0, max=0.3, label="probability shift", group=LOSS,
        help="a negative whose probability is below this costs nothing",
    )  # fmt: skip
    weight_power: float = control(
        1 / 6, min=0, max=0.5, label="power of the class weights", group=LOSS,
        help="of 1 - ln(count / largest count); 0: all classes weigh the same. Of the corrector, too",
    )  # fmt: skip
    corrector: str = control(
        "gated", choices=("off", "fixed", "gated"), group=CORRECTOR,
        help="fixed: recall what is above tau; gated: the most probable ones of each class, while audits approve",
    )  # fmt: skip
    corrector_weight: float = control(
        0.2, min=0, max=1, label="weight", group=CORRECTOR, help="of the loss on recalled labels beside the other"
    )
    corrector_start: int = control(
        5, min=1, max=20, unit="epochs", when="stage", stage="epoch", label="start", group=CORRECTOR,
        help="epochs before labels are recalled",
    )  # fmt: skip
    tau: float = control(
        0.7, min=0.5, max=0.99, group=CORRECTOR, help="fixed: the probability above which a negative is recalled"
    )
    margin: float = control(
        1.0, min=0, max=3, group=CORRECTOR,
        help="taken off the logits of recorded positives before they are compared",
    )  # fmt: skip
    recall_share: float = control(
        0.2, min=0, max=1, when="stage", stage="epoch", label="share recalled", group=CORRECTOR,
        help="gated: an epoch recalls at most about so many labels of a class, as a share of its recorded ones",
    )  # fmt: skip
    min_precision: float = control(
        0.5, min=0, max=1, label="least precision", group=CORRECTOR,
        help="gated: nothing is recalled while audits rule this share of true labels out (by 9 to 1); 0: always open",
    )  # fmt: skip
    data: str = control(
        "films", choices=("films", "mosaics"), when="launch", group=LABELS,
        help="films: genres of MovieLens-100k; mosaics: four Fashion-MNIST pictures in one, a synthetic composite",
    )  # fmt: skip
    missing_rate: float = control(
        0.4, min=0, max=0.9, when="launch", label="missing labels", group=LABELS,
        help="share of the positives that are recorded as negatives; every class keeps one",
    )  # fmt: skip
    imbalance: float = control(
        20.0, min=1, max=200, scale="log", when="launch", group=LABELS,
        help="mosaics: how much more frequent the first class is than the last (films have a factor of 29)",
    )  # fmt: skip
    audited: float = control(
        0.02, min=0.005, max=0.5, scale="log", when="launch", label="audited share", group=LABELS,
        help="share of the training examples whose true labels an auditor knows (training does not)",
    )  # fmt: skip
    train_examples: int = control(
        900, min=50, max=20_000, scale="log", unit="examples", when="launch", group=LABELS,
        help="of 1,349 films, the others being the test; mosaics: as many as you like",
    )  # fmt: skip
    networks: str = control(
        "one", choices=("one", "three"), when="launch", group=NETWORK,
        help="three: a head, a tail and a balanced network, each with batches of its own sampler; the last answers",
    )  # fmt: skip
    head_tail_alpha: float = control(
        2.0, min=0, max=4, label="head-tail alpha", group=NETWORK,
        help="three: how much of the mean feature is given to the tail network's logits in its corrector",
    )  # fmt: skip
    distil: bool = control(
        False, group=NETWORK,
        help="three: the head and the tail network also teach the balanced one (switched off in the authors' release)",
    )  # fmt: skip
    width: int = control(128, min=8, max=1024, scale="log2", unit="units", when="launch", group=NETWORK,
                         help="hidden units")  # fmt: skip
    batch_size: int = control(
        32, min=4, max=512, scale="log2", unit="examples", when="launch", group=NETWORK, help="a step and network"
    )
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=1e-3))

    def validate(self) -> None:
        """Refuse a batch larger than the training data."""
        if self.batch_size > self.train_examples:
            raise InvalidValue(
                f"batch_size must be at most train_examples; got {self.batch_size} and {self.train_examples}."
            )
