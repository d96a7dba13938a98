"""Knobs that every experiment with two modalities has."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import SGD, Config, InvalidValue, Optimizer, control
from workbench.cards.parts import names

BALANCE, INPUT, DATA = "Balance", "Modalities", "Data"
OTHERS, NETWORK, LOOK = "Other methods", "Network", "Looking"
STRATEGIES = "workbench.methods.multimodal._shared.strategies"
PAIRS = ("pix_fou", "fac_zer", "kar_mor", "pix_mor", "watch", "synthetic_av_digits")


@dataclass
class MultimodalConfig(Config):
    """The common part: which modalities, how loud and how noisy each is, and what keeps both awake."""

    steps: int = control(
        3000, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    noise_a: float = control(
        0.0, min=0, max=4, unit="deviations", label="noise on a", group=INPUT,
        help="added to the input: the same grain at each look, so that it can be learned by heart",
    )  # fmt: skip
    noise_v: float = control(
        0.0, min=0, max=4, unit="deviations", label="noise on v", group=INPUT, help="the same, other modality"
    )
    gain_a: float = control(
        1.0, min=0, max=2, step=0.05, label="gain of a", group=INPUT,
        help="the input, noise and all, is multiplied by it: 1 as is, 0 silent",
    )  # fmt: skip
    gain_v: float = control(
        1.0, min=0, max=2, step=0.05, label="gain of v", group=INPUT, help="the same, other modality"
    )
    method: str = control(
        "joint", choices=names(STRATEGIES, first="joint"), when="stage", stage="epoch", group=BALANCE,
        help="joint: the fused loss alone; uniform: and those of both read-outs; the others weigh losses or gradients",
    )  # fmt: skip
    gamma: float = control(
        1.0, min=0, max=8, group=BALANCE,
        help="uniform and arl: weight of the read-outs' losses behind the start epoch, up to it 1 (the paper: 4)",
    )  # fmt: skip
    start_epoch: int = control(
        5, min=0, max=20, when="stage", stage="epoch", group=BALANCE,
        help="uniform and arl: up to it gamma is 1, and arl's coefficients are constant",
    )  # fmt: skip
    pair: str = control(
        "pix_fou", choices=PAIRS, when="launch", group=DATA,
        help="two views of handwritten digits; watch: accelerometer and gyroscope, by person; synthetic_av_digits: "
        "a written and a synthesised spoken digit, by voice (needs espeak-ng)",
    )  # fmt: skip
    n_train: int = control(
        200, min=100, max=1000, scale="log", unit="samples", when="launch", label="training samples", group=DATA,
        help="a thousand others test",
    )  # fmt: skip
    batch_size: int = control(
        64, min=2, max=512, scale="log2", unit="samples", when="stage", stage="epoch", group=DATA,
        help="a step; a last batch of one is left out",
    )  # fmt: skip
    alpha: float = control(
        0.3, min=0, max=1, group=OTHERS, help="ogm and ogm_ge: how hard the stronger encoder is held back"
    )
    pmr_alpha: float = control(
        1.0, min=0, max=8, label="alpha of pmr", group=OTHERS, help="pmr: weight of the weaker one's prototype loss"
    )
    fusion: str = control(
        "concat", choices=("concat", "sum", "gated"), when="launch", group=NETWORK,
        help="one linear layer over both features; a head each, added; features of one let through by the other",
    )  # fmt: skip
    hidden: int = control(
        64, min=4, max=512, scale="log2", unit="units", when="launch", group=NETWORK, help="of an encoder's two layers"
    )
    eval_every: int = control(
        5, min=1, max=10**6, scale="log", unit="steps", label="look every", group=LOOK,
        help="test samples: accuracies, fused, by each read-out and alone; and whether gradients agree",
    )  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: SGD(lr=0.01, momentum=0.9, weight_decay=1e-4))
    grad_clip: float = 40.0
    super_epoch: int = 10  # gblend: epochs between two estimates
    blend_epochs: int = 2  # gblend: epochs that an estimate trains
    blend_samples: int = 200  # gblend: held out from training and test

    def validate(self) -> None:
        """Refuse a batch larger than the training set."""
        if self.batch_size > self.n_train:
            raise InvalidValue(f"batch_size must not exceed n_train; got {self.batch_size} and {self.n_train} samples.")
