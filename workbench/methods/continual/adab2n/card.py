"""The experiment continual/adab2n: its knobs, what it shows, its arms, sizes and claims."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

from workbench.cards import (
    SGD,
    Arm,
    Card,
    Claim,
    Config,
    InvalidValue,
    Optimizer,
    Paper,
    Preset,
    Probe,
    control,
)
from workbench.cards.parts import names
from workbench.methods.continual._shared.parts import NORMS, STRATEGIES
from workbench.methods.continual.adab2n.shown import SIGNALS, VIEWS

NORM, REPLAY, STREAM = "Normalisation", "Replay", "Stream"
TASKS = {"split_fashion_mnist": 5, "domains": 3, "split_cifar10": 5, "split_cifar100": 10}


@dataclass
class AdaB2NConfig(Config):
    """Knobs of online continual learning with a choice of norm layers."""

    steps: int = control(
        1000, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run",
        help="training batches; the run ends earlier if the stream does",
    )  # fmt: skip
    norm: str = control(
        "adab2n", choices=names(NORMS, first="adab2n"), when="launch", group=NORM,
        help="bn and cn forward new and replayed images apart, as the baselines do; the others together",
    )  # fmt: skip
    kappa: float = control(
        0.4, min=0, max=1, step=0.05, group=NORM,
        help="how fast the window forgets: 1 as batch norm, 0 never (the first tasks then dominate). Moved while "
        "training, the step size goes on from where it stands and only its decay changes",
    )  # fmt: skip
    gap_weight: float = control(
        0.1, min=1e-5, max=10, scale="log", label="lambda", group=NORM,
        help="weight of the statistics loss, the distance of the batch's statistics from the window's",
    )  # fmt: skip
    ada_t0: int = control(
        0, min=0, max=1, when="stage", stage="task", label="statistics loss from task", group=NORM,
        help="0: from the first task on, 1: from the second",
    )  # fmt: skip
    bn_momentum: float = control(
        0.1, min=0.01, max=0.5, scale="log", label="window's momentum", group=NORM,
        help="m: batch norm's window moves by this share a batch; AdaB2N's ends at 1 - (1-m)^kappa",
    )  # fmt: skip
    renormalise: bool = control(
        False, group=NORM,
        help="give the weight of a seen task that is absent from the batch to the others (ours); off: it is lost, and "
        "the batch's mean shrinks towards 0, as in the authors' code",
    )  # fmt: skip
    groups: int = control(
        8, min=1, max=64, scale="log2", when="launch", group=NORM,
        help="of gn and cn; must divide the width (the paper's networks have 32)",
    )  # fmt: skip
    strategy: str = control(
        "er_ace", choices=names(STRATEGIES, first="er_ace"), when="launch", group=REPLAY,
        help="what is learned from new and replayed images; joint knows no stream and is an upper bound",
    )  # fmt: skip
    mask: str = control(
        "paper_code", choices=("paper_code", "exact"), group=REPLAY,
        help="ER-ACE: which classes compete with the new; the authors' code adds the largest class seen",
    )  # fmt: skip
    alpha: float = control(
        0.2, min=0, max=2, step=0.05, group=REPLAY, help="DER++: weight of the distance from stored logits"
    )
    beta: float = control(0.5, min=0, max=2, step=0.05, group=REPLAY, help="DER++: weight of the replayed labels")
    buffer: str = control(
        "reservoir", choices=("reservoir", "ring"), when="launch", group=REPLAY,
        help="a uniform sample of all that was seen, or an equal part a task",
    )  # fmt: skip
    buffer_size: int = control(
        200, min=50, max=2000, scale="log", unit="images", when="launch", group=REPLAY, help="capacity of the buffer"
    )
    replay_batch: int = control(10, min=1, max=64, unit="images", group=REPLAY, help="replayed a step and draw")
    batch_size: int = control(
        10, min=2, max=128, unit="images", when="stage", stage="task", group=REPLAY, help="new images a step"
    )
    stream: str = control(
        "split_fashion_mnist", choices=tuple(TASKS), when="launch", group=STREAM,
        help="Fashion-MNIST in 5 tasks of 2 classes; or three domains: clothes, digits, animal silhouettes. CIFAR "
        "needs an archive that you put in place",
    )  # fmt: skip
    order_seed: int = control(
        -1, min=-1, max=10**6, when="launch", group=STREAM,
        help="which classes make which task; 0: in their order, -1: the run's seed",
    )  # fmt: skip
    images_per_task: int = control(
        2000, min=20, max=60_000, scale="log", unit="images", when="launch", group=STREAM,
        help="the first so many of each task's training set",
    )  # fmt: skip
    steps_per_task: int = control(
        200, min=1, max=10**6, scale="log", unit="steps", when="stage", stage="task", group=STREAM,
        help="length of the next task; images_per_task / batch_size is one epoch. The run's own steps stay",
    )  # fmt: skip
    augment: bool = control(False, group=STREAM, help="shift and mirror at the moment of use (for CIFAR)")
    width: int = control(16, min=4, max=64, scale="log2", unit="channels", when="launch", group="Network",
                         help="of the first convolution")  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: SGD(lr=0.03))
    probe_images: int = 200
    statistics_images: int = 64
    test_images: int = 500

    def validate(self) -> None:
        """Refuse a replay larger than the buffer and groups that don't divide; warn of a stream that is cut short."""
        if self.replay_batch > self.buffer_size:
            raise InvalidValue(
                f"replay_batch must not exceed buffer_size; got {self.replay_batch} and {self.buffer_size} images."
            )
        if self.norm in ("gn", "cn") and self.width % self.groups:
            raise InvalidValue(
                f"groups must divide width, 2 width and 4 width; got {self.groups} groups and a width of {self.width}."
            )
        if self.batch_size > self.images_per_task:
            raise InvalidValue(
                f"batch_size must not exceed images_per_task; got {self.batch_size} and {self.images_per_task} images."
            )
        needed = TASKS[self.stream] * self.steps_per_task
        if needed > self.steps:
            warnings.warn(
                f"The stream takes {needed} steps ({TASKS[self.stream]} tasks of {self.steps_per_task}) and the run "
                f"ends after {self.steps}: the last tasks are not reached.",
                stacklevel=2,
            )


ARMS = (
    Arm("bn", "batch norm", "phenomenon", {"norm": "bn"},
        "batch norm, new and replayed images forwarded one after another, as in the published baselines"),
    Arm("adab2n_slow", "AdaB2N, kappa 0.1", "remedy", {"norm": "adab2n", "kappa": 0.1},
        "balanced statistics, a window four times as long as at 0.4, one joint forward"),
    Arm("adab2n", "AdaB2N", "remedy", {"norm": "adab2n"},
        "the setting of the claims, kappa 0.4: at 200 steps a task its window forgets as fast as batch norm's"),
    Arm("bn_joint", "batch norm, joint forward", "ablation", {"norm": "bn_joint"},
        "AdaB2N's driver without its layer: how much of the gain is the joint forward"),
    Arm("kappa0", "AdaB2N, kappa 0", "ablation", {"norm": "adab2n", "kappa": 0.0},
        "a cumulative average: the oldest task dominates instead of the newest"),
    Arm("gn", "group norm", "competitor", {"norm": "gn"}, "no statistics over the batch"),
    Arm("cn", "continual normalisation", "competitor", {"norm": "cn"}, "group norm without affine, then batch norm"),
    Arm("finetune", "no replay", "competitor", {"norm": "bn", "strategy": "finetune"}, "what happens without a buffer"),
    Arm("er_bn", "plain replay", "competitor", {"norm": "bn", "strategy": "er"}, "experience replay with batch norm"),
    Arm("derpp_bn", "DER++, batch norm", "competitor", {"norm": "bn", "strategy": "derpp"}, "DER++ with batch norm"),
    Arm("derpp_adab2n", "DER++, AdaB2N", "ablation", {"norm": "adab2n", "strategy": "derpp"}, "DER++ with AdaB2N"),
    Arm("joint", "all tasks at once", "competitor", {"norm": "bn", "strategy": "joint"}, "the upper bound"),
)  # fmt: skip

SMOKE = {
    "steps": 15, "steps_per_task": 3, "images_per_task": 60, "width": 4, "groups": 4, "buffer_size": 50,
    "probe_images": 20, "statistics_images": 8, "test_images": 20,
}  # fmt: skip
SHORT = {"steps": 250, "steps_per_task": 50, "images_per_task": 500}
FULL = {"steps": 6000, "steps_per_task": 1200, "images_per_task": 12_000, "test_images": 2000}
DOMAINS = {"stream": "domains", "steps": 600, "steps_per_task": 200, "images_per_task": 2000}
PRESETS = (
    Preset("smoke", SMOKE, "fifteen steps, to see that everything works"),
    Preset("tour", {}, "5 tasks of 2,000 images, each seen once; the difference shows in the second task",
           ("bn", "adab2n_slow")),
    Preset("short", SHORT, "5 tasks of 500 images: too short to learn a task well, and where the paper's gain shows",
           ("bn", "bn_joint", "adab2n")),
    Preset("domains", DOMAINS, "3 domains of 2,000 images and 10 classes: clothes, digits, animal silhouettes",
           ("bn", "bn_joint", "adab2n")),
    Preset("full", FULL, "5 tasks of 12,000 images, each seen once", ("bn", "bn_joint", "adab2n")),
)  # fmt: skip

ONLINE = (
    "Final class-incremental average accuracy of AdaB2N (kappa 0.4, lambda 0.1, fixed in advance, no tuning a seed) "
)
CLAIM = "AdaB2N improves ER-ACE and DER++ in online continual learning."
FIGURE = "up to 7.68 points on Split CIFAR-10, 6.86 on Split CIFAR-100, 4.26 on Split Mini-ImageNet (abstract)"
PAIRED: dict[str, Any] = {"metric": "top1_acc_stream", "direction": "higher", "seeds": (1, 2, 3, 4, 5)}
CLAIMS = (
    Claim(
        "short_vs_bn", CLAIM, ONLINE + "above that of batch norm, Split Fashion-MNIST with ER-ACE, 500 images a task.",
        figure=FIGURE, arms=("adab2n", "bn"), preset="short", **PAIRED,
    ),
    Claim(
        "short_vs_joint", CLAIM, ONLINE + "above that of batch norm with the same joint forward, 500 images a task: "
        "what the layer adds to its driver.", figure=FIGURE, arms=("adab2n", "bn_joint"), preset="short", **PAIRED,
    ),
    Claim(
        "tour_vs_bn", CLAIM, ONLINE + "above that of batch norm, Split Fashion-MNIST with ER-ACE, 2,000 images a task.",
        figure=FIGURE, arms=("adab2n", "bn"), preset="tour", **PAIRED,
    ),
    Claim(
        "tour_vs_joint", CLAIM, ONLINE + "above that of batch norm with the same joint forward, 2,000 images a task.",
        figure=FIGURE, arms=("adab2n", "bn_joint"), preset="tour", **PAIRED,
    ),
    Claim(
        "slower_window", "Modified momentum balances the statistics that testing uses.",
        "After 5 tasks of 200 steps, 10 new and 10 replayed images, the newest task's weight in the running mean is at "
        "least .05 lower with AdaB2N at kappa .1 than with batch norm, for every seed (psi = 0, no training).",
        metric="claims:slower_window_is_more_even", direction="higher", rule="exact", seeds=(0, 1), quick=True,
    ),
    Claim(
        "primacy", "Modified momentum balances the statistics that testing uses.",
        "The other side of it: at kappa 0 the oldest task weighs more than the newest, for every seed (no training).",
        metric="claims:no_window_is_primacy", direction="higher", rule="exact", seeds=(0, 1), quick=True,
    ),
)  # fmt: skip

CARD = Card(
    title="AdaB2N",
    subtitle="normalisation statistics without recency bias",
    paper=Paper(
        "Overcoming Recency Bias of Normalization Statistics in Continual Learning: Balance and Adaptation",
        "NeurIPS", 2023, "https://arxiv.org/abs/2310.08855", 2,
    ),
    phenomenon="Batch norm's running statistics follow the newest task, so that old tasks are tested with wrong ones.",
    remedy="Weigh the tasks in the batch's statistics evenly, make the window longer, pull the two together.",
    config=AdaB2NConfig,
    signals=SIGNALS,
    views=VIEWS,
    arms=ARMS,
    presets=PRESETS,
    claims=CLAIMS,
    probes=(
        Probe("statistics", "distance of the statistics", "64 test images of each task through the network", every=5),
        Probe("accuracy", "accuracy of each task", "200 test images of each task", every=20),
    ),
    detectors=("detect:BnRecencyBias", "detect:Forgetting", "detect:StabilityGap", "non_finite"),
    clears=("bn_recency_bias",),
    data=("fashion_mnist", "mnist_5k", "animal_mnist", "cifar10", "cifar100"),
    notes=(
        (
            "The stability gap (old tasks collapse just after a border and partly recover) shows in the live probe "
            "alone; test accuracy at a task's end does not see it."
        ),
        (
            "At kappa 0.4 and 200 steps a task the newest task weighs .51 in the running mean, with batch norm .58, "
            "with kappa 0.1 .44; at kappa 0 the oldest weighs .36 and the newest .10 (no training, 10 new and 10 "
            "replayed images). Replay and the prior do most of the balancing; a small kappa overshoots."
        ),
        (
            "The published gain compares AdaB2N with batch norm whose new and replayed images are forwarded apart. "
            "Compare with batch norm and the same joint forward too: most of it may be the driver's."
        ),
        "Seeds differ by more than methods do, since they decide which classes make which task: compare by seed.",
        (
            "Even statistics are no end in themselves: they become more even with AdaB2N, and accuracy need not "
            "follow. The remedy's arm ends without biased statistics, and forgets all the same."
        ),
        (
            "Published accuracies are for Split CIFAR-10, CIFAR-100 and Mini-ImageNet with a ResNet: compare with our "
            "own arms only."
        ),
    ),
)  # fmt: skip
