"""The knobs of imbalance/foundation_bias."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import SGD, Config, InvalidValue, Optimizer, control

TRAINING, ANSWER, PRETRAINING, DATA, NETWORK = "Training", "Answer", "Pretraining", "Downstream data", "Network"
MOST = 5
LOSSES = ("la", "ce", "la_prior", "focal", "class_balanced", "reweighting", "ldam", "lade")
CLASSES = {"fashion": 10, "fashion_animals": 20}


def _weight(k: int) -> float:
    return control(
        1.0, min=0, max=1, step=0.01, label=f"weight of model {k}", group=ANSWER,
        help="P(c) in the mix, divided by the sum of the weights; counts only if there are so many models",
    )  # fmt: skip


@dataclass
class FoundationBias(Config):
    """Knobs of heads trained on frozen encoders, where both saw a tail of their own."""

    steps: int = control(
        2300, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    mix: str = control(
        "logits", choices=("logits", "probabilities"), group=ANSWER,
        help="what of the models is added: logits, as released, or probabilities",
    )  # fmt: skip
    weight_0: float = _weight(0)
    weight_1: float = _weight(1)
    weight_2: float = _weight(2)
    weight_3: float = _weight(3)
    weight_4: float = _weight(4)
    subtract: str = control(
        "nothing", choices=("nothing", "estimate", "truth"), group=ANSWER,
        help="the log of each model's pretraining prior, taken from its logits before they are mixed",
    )  # fmt: skip
    strength: float = control(
        1.0, min=0, max=2, step=0.05, label="strength of subtraction", group=ANSWER, help="times that logarithm"
    )
    loss: str = control(
        "la", choices=LOSSES, group=TRAINING,
        help="la: logit adjustment by the downstream shares; la_prior: and by those of pretraining, which are known "
        "here; ce: neither; the others: losses for long tails",
    )  # fmt: skip
    tau: float = control(
        1.0, min=0, max=2, step=0.05, group=TRAINING, help="la, la_prior: times the log of the downstream shares"
    )
    gamma: float = control(2.0, min=0, max=5, step=0.1, group=TRAINING, help="focal: how little easy examples count")
    beta: float = control(
        0.9999, min=0, max=0.99999, group=TRAINING, help="class_balanced: 0 leaves the loss alone, near 1 is 1/n"
    )
    power: float = control(1.0, min=0, max=2, step=0.05, group=TRAINING, help="reweighting: weights n^-power")
    batch_size: int = control(
        128, min=2, max=1024, scale="log2", unit="pictures", when="launch", group=TRAINING, help="a step"
    )
    n_confounders: int = control(
        3, min=1, max=MOST, when="launch", label="models", group=PRETRAINING, help="encoders, pretrained apart"
    )
    tails: str = control(
        "different", choices=("different", "same"), when="launch", group=PRETRAINING,
        help="different: each encoder has a tail of its own; same: all see model 0's pictures, from other initial "
        "weights: a plain ensemble",
    )  # fmt: skip
    pretrain_if: float = control(
        50.0, min=1, max=200, scale="log", when="launch", label="imbalance factor", group=PRETRAINING,
        help="pictures of the most frequent class over those of the rarest",
    )  # fmt: skip
    pretrain_images: int = control(
        12_000, min=100, max=30_000, scale="log", unit="pictures", when="launch", label="images", group=PRETRAINING,
        help="an encoder sees",
    )  # fmt: skip
    pretrain_epochs: int = control(
        3, min=1, max=30, when="launch", label="epochs", group=PRETRAINING, help="of cross-entropy with Adam"
    )
    half_pixels: bool = control(
        False, when="launch", label="half of the pixels", group=PRETRAINING,
        help="each encoder sees another half of the pixels, always: incomplete semantics",
    )  # fmt: skip
    downstream_if: float = control(
        50.0, min=1, max=200, scale="log", when="launch", label="downstream imbalance factor", group=DATA,
        help="the same of the set that heads are trained on",
    )  # fmt: skip
    downstream_images: int = control(
        3000, min=50, max=12_000, scale="log", unit="pictures", when="launch", label="downstream images", group=DATA,
        help="that heads are trained on",
    )  # fmt: skip
    correlation: float = control(
        0.0, min=-1, max=1, step=0.05, when="launch", group=DATA,
        help="of a class's rank downstream with its rank in model 0's pretraining",
    )  # fmt: skip
    pictures: str = control(
        "fashion", choices=tuple(CLASSES), when="launch", group=DATA,
        help="fashion: 10 classes of Fashion-MNIST; fashion_animals: and 10 of silhouettes of animals",
    )  # fmt: skip
    crops: int = control(
        1, min=1, max=5, when="launch", group=DATA,
        help="looks at a test picture, as it is and shifted by 2 pixels, whose answers are averaged",
    )  # fmt: skip
    adapter_dim: int = control(
        8, min=2, max=64, scale="log2", unit="units", when="launch", group=NETWORK, help="width of the bottleneck"
    )
    optimizer: Optimizer = field(default_factory=lambda: SGD(lr=0.01, momentum=0.9, weight_decay=5e-4))

    @property
    def weights(self) -> tuple[float, ...]:
        """P(c), a number a model, whose sum is 1."""
        given = (self.weight_0, self.weight_1, self.weight_2, self.weight_3, self.weight_4)[: self.n_confounders]
        return tuple(w / sum(given) for w in given)

    def validate(self) -> None:
        """Refuse a tail that leaves a class empty, a batch larger than the set, and weights that are all 0."""
        from workbench.methods.imbalance._shared.longtail import sized  # NumPy, which a card does without

        classes = CLASSES[self.pictures]
        sized(classes, self.pretrain_images, self.pretrain_if)
        training = int(sized(classes, self.downstream_images, self.downstream_if).sum())
        if self.batch_size > training:
            raise InvalidValue(
                f"batch_size must not exceed the {training} pictures that heads are trained on; got {self.batch_size}."
            )
        given = (self.weight_0, self.weight_1, self.weight_2, self.weight_3, self.weight_4)[: self.n_confounders]
        if sum(given) <= 0:
            raise InvalidValue(
                f"The weights of the {self.n_confounders} models are all 0; give one of weight_0 … "
                f"weight_{self.n_confounders - 1} more than 0."
            )
