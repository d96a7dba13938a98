"""The experiment certified/ibp: its knobs, what it shows, its arms, sizes and claims."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from workbench.cards import (
    Adam,
    Arm,
    Card,
    Claim,
    Config,
    InvalidValue,
    Optimizer,
    Paper,
    Preset,
    Probe,
    Reference,
    Series,
    Signal,
    View,
    control,
)

RELUS = tuple(f"ReLU {k}" for k in range(1, 7))
LAYERS = (*(f"conv {k}" for k in range(1, 6)), "linear 6", "linear 7")
BALANCE, SCHEDULE, NETWORK, DATA = "ReLU balance and tightness", "Radius", "Network", "Data"


@dataclass
class IBP(Config):
    """Knobs of certified training with interval bounds."""

    steps: int = control(4700, min=1, max=10**7, scale="log", when="launch", group="Run", help="training batches")
    epsilon: float = control(
        0.1, min=0, max=0.4, step=0.005, unit="pixel", group=SCHEDULE,
        help="half-width of the box to certify. Moved during the ramp, eps runs on linearly to it; later it jumps",
        hint="Pixels reach from 0 to 1: 8/255 is written 0.0314.",
    )  # fmt: skip
    ramp_epochs: int = control(
        5, min=0, max=100, unit="epochs", when="stage", stage="epoch", group=SCHEDULE,
        help="epochs in which eps rises from 0 to epsilon; the first slider to try on an arm that collapses",
    )  # fmt: skip
    freeze_eps: bool = control(
        False, group=SCHEDULE, help="hold eps where it is (a lower epsilon still clamps it); released, it runs on"
    )
    ramp_mid: float = control(
        0.25, min=0, max=1, when="launch", group=SCHEDULE, help="share of the ramp that is exponential"
    )
    ramp_beta: float = control(4.0, min=2, max=8, when="launch", group=SCHEDULE, help="power of the exponential part")
    kappa: float = control(
        0.0, min=0, max=1, step=0.01, group="Loss", help="share of clean cross-entropy in the loss (paper: 0)"
    )
    reg_weight: float = control(
        0.5, min=0, max=2, step=0.05, group=BALANCE, help="lambda; fades with the ramp as 1 - eps/epsilon"
    )
    tolerance: float = control(
        0.5, min=0.05, max=1, step=0.05, group=BALANCE, help="widths up to 1/tolerance, ratios from tolerance are free"
    )
    use_tightness: bool = control(True, group=BALANCE, help="penalise widths above 1/tolerance of the input's")
    use_balance: bool = control(True, group=BALANCE, help="penalise layers with far more dead than active ReLUs")
    init: str = control(
        "ibp", choices=("default", "kaiming", "xavier", "orthogonal", "ibp"), when="launch", group=NETWORK,
        label="initialisation", help="ibp keeps the width of bounds from layer to layer (without batch norm)",
    )  # fmt: skip
    batch_norm: str = control(
        "full", choices=("none", "conv", "full"), when="launch", group=NETWORK,
        help="full: behind every hidden layer; conv: not behind the hidden linear layer",
    )  # fmt: skip
    width: int = control(
        8, min=4, max=64, scale="log2", unit="channels", when="launch", group=NETWORK, help="of the first layer"
    )
    grad_clip: float = control(
        10.0, min=0.1, max=100, scale="log", group="Optimiser", help="largest norm of the gradient"
    )
    milestone_1: int = control(
        80, min=1, max=10_000, unit="epoch", when="launch", group="Optimiser", help="the learning rate falls to a fifth"
    )
    milestone_2: int = control(
        90, min=1, max=10_000, unit="epoch", when="launch", group="Optimiser", help="and once more"
    )
    data: str = control(
        "fashion_mnist", choices=("fashion_mnist", "digits"), when="launch", group=DATA,
        help="Fashion-MNIST (28x28), or scikit-learn's digits at their own 8x8 with a first stride of 1",
    )  # fmt: skip
    train_images: int = control(
        6000, min=64, max=60_000, scale="log", when="launch", group=DATA, help="the first so many of the training set"
    )
    batch_size: int = control(
        128, min=2, max=1024, scale="log2", unit="images", when="stage", stage="epoch", group=DATA, help="images a step"
    )
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=5e-4))
    probe_images: int = 500
    probe_attack_steps: int = 20
    epoch_images: int = 2000
    final_images: int = 10_000

    def validate(self) -> None:
        """Refuse milestones out of order; warn of a ramp that training does not finish."""
        if self.milestone_2 <= self.milestone_1:
            raise InvalidValue(
                f"milestone_2 must come after milestone_1; got {self.milestone_2} and {self.milestone_1} epochs."
            )
        needed = self.ramp_epochs * -(-self.train_images // self.batch_size)
        if needed > self.steps:
            warnings.warn(
                f"The ramp takes about {needed} steps and training ends after {self.steps}: eps never reaches epsilon "
                f"= {self.epsilon:g}. The certified error is reported at epsilon all the same.",
                stacklevel=2,
            )


SIGNALS = (
    Signal("certified_err", "probe images not certified at the target epsilon by interval bounds", "%", main=True),
    Signal("pgd_err", "probe images that 20 PGD steps break at the target epsilon; never above certified_err", "%"),
    Signal("clean_err", "probe images misclassified as they are; never above pgd_err", "%"),
    Signal("test_certified_err", "the same as certified_err, at epoch ends on 2,000 test images", "%"),
    Signal("test_clean_err", "the same as clean_err, at epoch ends on 2,000 test images", "%"),
    Signal("final_certified_err", "the same on the whole test set, once, at the end", "%"),
    Signal("final_clean_err", "the same on the whole test set, once, at the end", "%"),
    Signal("margins", "smallest lower bound of logit_y - logit_j of each probe image; certified above 0",
           shape="histogram", edges=(-10.0, 10.0, 40)),
    Signal("balance", "mean over layers of min/max of active and inactive shares, on the probe at the target",
           healthy=(0.25, None)),
    Signal("inactive_share", "mean over layers of provably dead ReLUs, on the probe at the target",
           healthy=(None, 0.8)),
    Signal("bound_width", "mean half-width of the bounds entering each ReLU and at the output", "logit",
           shape="vector", axis="layer", labels=(*RELUS, "output")),
    Signal("bound_gain", "bound_width over the input's mean half-width; healthy about 1, below 1/tolerance = 2",
           shape="vector", axis="layer", labels=(*RELUS, "output"), healthy=(None, 2.0)),
    Signal("relative_width", "bound_width over signal_std: what an explosion costs, whatever the weights' scale",
           shape="vector", axis="layer", labels=RELUS),
    Signal("signal_std", "standard deviation over the batch of what enters each ReLU, mean over units",
           shape="vector", axis="layer", labels=RELUS),
    Signal("relu_active", "share of ReLUs that are active all over the box", shape="vector", axis="layer",
           labels=RELUS),
    Signal("relu_inactive", "share of ReLUs that are dead all over the box", shape="vector", axis="layer", labels=RELUS,
           healthy=(None, 0.8)),
    Signal("relu_unstable", "share of ReLUs whose state the bounds leave open", shape="vector", axis="layer",
           labels=RELUS, healthy=(None, 0.95)),
    Signal("relative_change", "||W - W0|| / ||W0|| of each layer: how far it has moved for its size",
           shape="vector", axis="layer", labels=LAYERS),
    Signal("tightness_pull", "gradient of the tightness term in the log-width of each layer, d_0 / (tol d_i); 0 where "
           "it is not in force. Near 0 means saturated: it cannot rescue this layer", shape="vector", axis="layer",
           labels=RELUS),
    Signal("loss", "what is minimised"),
    Signal("robust_loss", "cross-entropy of the certified margins: an upper bound of the worst case in the box"),
    Signal("clean_ce", "cross-entropy of the images as they are"),
    Signal("reg_tightness", "tightness term before its weight; 0 when widths stay below 1/tolerance of the input's"),
    Signal("reg_relu", "ReLU balance term before its weight; layers without a ratio count 0"),
    Signal("reg_scale", "weight of both terms now, reg_weight (1 - eps/epsilon)"),
    Signal("skipped_layers", "layers that the balance term cannot see: no active or no inactive ReLU",
           healthy=(None, 0.0)),
    Signal("eps", "radius of the box now", "pixel"),
    Signal("eps_target", "where eps is going: the control epsilon", "pixel"),
    Signal("input_width", "mean half-width of the input box after clamping to [0, 1]", "pixel"),
    Signal("lr", "learning rate now"),
    Signal("grad_norm", "norm of the gradient before clipping"),
)  # fmt: skip

VIEWS = (
    View("errors", "What is known about the error", series=(Series("clean_err"), Series("pgd_err", dash=True),
         Series("certified_err")), bands=(("pgd_err", "certified_err"),), unit="%", range=(0, 100),
         subtitle="clean, attacked, certified at the target; shaded: unknown (verifier: interval bounds)",
         references=(Reference(90.0, "constant guess"),), group="errors", tab="probe"),
    View("test_errors", "Errors at epoch ends", series=(Series("test_clean_err"), Series("test_certified_err")),
         unit="%", range=(0, 100), subtitle="2,000 test images; last epoch, no choice of model on the test set",
         references=(Reference(90.0, "constant guess"),), group="errors", tab="epochs"),
    View("bound_width", "Width of bounds", series=("bound_width",), scale="log", unit="logit",
         subtitle="entering each ReLU and at the output", references=(Reference("input_width", "input"),),
         group="explosion", tab="width"),
    View("relative_width", "Width over signal", series=("relative_width",), scale="log",
         subtitle="independent of the weights' scale: the honest measure of an explosion", group="explosion",
         tab="relative", references=(Reference(1.0, "as wide as the signal"),)),
    View("signal_std", "Signal", series=("signal_std",), scale="log",
         subtitle="standard deviation of clean pre-activations over the batch", group="explosion", tab="signal"),
    View("bound_width_now", "Width of bounds, layer by layer", kind="bars", series=("bound_width",), scale="log",
         unit="logit", references=(Reference("input_width", "input"),), group="explosion", tab="bars"),
    View("relus", "What bounds say of the ReLUs", kind="area", range=(0, 1), per_run=True,
         series=(Series("relu_active", "active", color="blue"), Series("relu_unstable", "unstable", color="ink2"),
                 Series("relu_inactive", "inactive", color="orange")), subtitle="shares of one layer"),
    View("schedules", "Radius and learning rate", series=(Series("eps"), Series("eps_target", dash=True),
         Series("lr", axis="right")), unit="pixel"),
    View("losses", "Parts of the loss", series=(Series("robust_loss"), Series("clean_ce", dash=True),
         Series("reg_tightness"), Series("reg_relu")), scale="log", group="losses", tab="parts",
         references=(Reference(2.302585, "ln 10: a constant guess"),)),
    View("gradient", "Gradient norm before clipping", series=("grad_norm",), scale="log", group="losses",
         tab="gradient"),
    View("tightness_pull", "What the tightness term can still move", series=("tightness_pull",), scale="log",
         subtitle="gradient in log-width a layer; near 0: saturated", group="losses", tab="pull"),
    View("margins", "Certified margins of the probe", kind="histogram", series=("margins",), unit="logit",
         subtitle="certified right of 0; the end bins hold what lies beyond"),
    View("relative_change", "How far each layer has moved", series=("relative_change",), scale="log",
         subtitle="||W - W0|| / ||W0||: with batch norm the initialisation acts through this"),
)  # fmt: skip

OFF = {"reg_weight": 0.0}
ARMS = (
    Arm("vanilla", "no batch norm", "phenomenon", {"init": "default", "batch_norm": "none", **OFF},
        "torch's initialisation, no batch norm, no regularisers"),
    Arm("vanilla_bn", "batch norm only", "phenomenon", {"init": "default", "batch_norm": "full", **OFF},
        "torch's initialisation, batch norm on every layer, no regularisers"),
    Arm("fast", "fast IBP", "remedy", {"init": "ibp", "batch_norm": "full", "reg_weight": 0.5},
        "IBP initialisation, batch norm on every layer, both regularisers"),
    Arm("fast_no_init", "without init", "ablation", {"init": "default", "batch_norm": "full", "reg_weight": 0.5},
        "batch norm and regularisers with torch's initialisation"),
    Arm("fast_no_bn", "without batch norm", "ablation", {"init": "ibp", "batch_norm": "none", "reg_weight": 0.5},
        "IBP initialisation and regularisers without batch norm"),
    Arm("fast_no_reg", "without regularisers", "ablation", {"init": "ibp", "batch_norm": "full", **OFF},
        "IBP initialisation and batch norm without regularisers"),
)  # fmt: skip

SMOKE = {
    "steps": 8, "width": 4, "train_images": 256, "batch_size": 64, "ramp_epochs": 1, "milestone_1": 1, "milestone_2": 2,
    "probe_images": 40, "probe_attack_steps": 5, "epoch_images": 40, "final_images": 200,
}  # fmt: skip
TOUR = {"steps": 4700, "ramp_epochs": 5, "milestone_1": 80, "milestone_2": 90}
FULL = {
    "steps": 4690, "train_images": 60_000, "width": 16, "ramp_epochs": 5, "milestone_1": 8, "milestone_2": 9,
}  # fmt: skip
PRESETS = (
    Preset("smoke", SMOKE, "eight steps, to see that everything works"),
    Preset("tour", TOUR, "6,000 images, 100 epochs; the difference shows within a minute", ("vanilla_bn", "fast")),
    Preset("full", FULL, "60,000 images, 10 epochs, width 16", ("vanilla_bn", "fast")),
)

SHORT = {"steps": 470, "ramp_epochs": 5, "milestone_1": 8, "milestone_2": 9}
CLAIMS = (
    Claim(
        "init_holds_widths",
        "IBP initialisation stabilises certified bounds at initialisation, where others explode.",
        "CNN-7 without batch norm: the gain from ReLU 1 to ReLU 6 lies within 0.5 to 2 with IBP initialisation and "
        "exceeds 10,000 with Kaiming's, for every seed.",
        metric="claims:widths_hold", direction="higher", rule="exact", seeds=(0, 1, 2, 3, 4), quick=True,
    ),
    Claim(
        "short_ramp_vs_bn",
        "With initialisation, batch norm and regularisers a short warm-up suffices.",
        "Ramp of 5 of 10 epochs, 6,000 images: certified error of fast at least 1 point below batch norm alone.",
        figure="CIFAR-10 8/255: 65.03 % certified error in 160 epochs (abstract); other data and network",
        arms=("fast", "vanilla_bn"), metric="final_certified_err", margin=1.0, overrides=SHORT,
    ),
    Claim(
        "short_ramp_vs_vanilla",
        "With initialisation, batch norm and regularisers a short warm-up suffices.",
        "Ramp of 5 of 10 epochs, 6,000 images: certified error of fast below that of the network without batch norm.",
        arms=("fast", "vanilla"), metric="final_certified_err", overrides=SHORT,
    ),
    Claim(
        "relu_balance",
        "Batch norm and the regulariser balance ReLU states, of which IBP makes far too many inactive.",
        "Mean over layers of min/max of active and inactive shares is higher for fast than without batch norm. (Not "
        "compared with batch norm alone: there nearly every ReLU is unstable, so few are inactive for a bad reason.)",
        arms=("fast", "vanilla"), metric="balance", direction="higher", overrides=SHORT,
    ),
    Claim(
        "fewer_inactive",
        "Batch norm and the regulariser balance ReLU states, of which IBP makes far too many inactive.",
        "Mean share of inactive ReLUs is lower for fast than without batch norm.",
        arms=("fast", "vanilla"), metric="inactive_share", overrides=SHORT,
    ),
)  # fmt: skip

CARD = Card(
    title="Fast certified training",
    subtitle="interval bounds that do not explode",
    paper=Paper(
        "Fast Certified Robust Training with Short Warmup", "NeurIPS", 2021, "https://arxiv.org/abs/2103.17268", 3
    ),
    phenomenon="Certified bounds explode layer by layer and ReLUs go dead: training on bounds collapses to a constant.",
    remedy="IBP initialisation, batch norm on every hidden layer, and two regularisers while epsilon ramps up.",
    config=IBP,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe(
            "errors", "clean, attacked and certified error",
            "500 test images, 50 a class: interval bounds and 20 PGD steps from a random start, at the target epsilon; "
            "every 20 steps it takes a sixth to a third of the training time", every=20,
        ),
    ),
    detectors=(
        "detect:ExplodedBounds", "detect:ReluImbalance", "detect:AllUnstable", "detect:CertifiedCollapse",
        "detect:RampTooFast", "non_finite",
    ),
    data=("fashion_mnist", "digits"),
    notes=(
        (
            "Published certified errors (CIFAR-10 at 8/255: 65.03 %; TinyImageNet at 1/255: 82.36 %; MNIST at 0.4: "
            "10.98 %) are for other data, networks and 70 to 160 epochs: compare with our own arms only."
        ),
        (
            "With batch norm everywhere the initialisation does not change the bounds of the first step, and still "
            "decides the run: small weights behind batch norm move faster. See how far each layer has moved."
        ),
        (
            "Without batch norm the IBP initialisation holds the widths but the signal vanishes with them: width over "
            "signal is about the same for every initialisation."
        ),
        "The tightness term holds bounds that are near 1 to 100 times the input's; it does not rescue an explosion.",
        "Certified means certified by interval bounds, margins above 0; a complete verifier would certify more.",
        (
            "Measured here, seed 0, 6,000 images, certified error on test images: after 31 epochs a ramp of 5 epochs "
            "leaves batch norm alone at a constant guess (90 %) and fast at 44 %, after 100 epochs at 90 % and 35 %; "
            "with a ramp of 20 epochs both train, to 41 % and 36 % after 31. The remedy makes the short ramp possible. "
            "Three seeds of 10 epochs: 68.2 % (deviation 2.6) for fast, 90.0 % for both vanilla arms."
        ),
        (
            "The learning curves of the papers measure the error at the current eps during the ramp, which rises with "
            "it; ours are at the target throughout, and of the last epoch, not of the best."
        ),
    ),
)  # fmt: skip
