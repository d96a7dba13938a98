"""The knobs of continual/rich_lazy."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import SGD, Config, InvalidValue, Optimizer, control

INITIAL, TASK, LOOK = "Initial weights", "Task", "Looking"


@dataclass
class RichLazy(Config):
    """Knobs of the laboratory of rich and lazy learning."""

    steps: int = control(
        1000, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run",
        help="training batches at most; the run ends when the loss is where it is to stop",
    )  # fmt: skip
    rank: int = control(
        100, min=1, max=1024, scale="log2", when="launch", group=INITIAL,
        help="of the recurrent (linear: first) matrix, whose norm stays the same; the hidden units': full rank",
    )  # fmt: skip
    sigma: float = control(
        1.25, min=0.25, max=4, scale="log", when="launch", group=INITIAL,
        help="scale of the initial weights, the classical knob between rich (small) and lazy (large)",
    )  # fmt: skip
    init: str = control(
        "gaussian", choices=("gaussian", "aligned"), when="launch", group=INITIAL,
        help="linear: aligned is rank one with a direction near the teacher's",
    )  # fmt: skip
    angle: float = control(
        0.0, min=0, max=90, step=1, unit="degrees", when="launch", label="alignment angle", group=INITIAL,
        help="aligned: between the direction and the teacher's",
    )  # fmt: skip
    hidden: int = control(100, min=2, max=1024, scale="log2", unit="units", when="launch", group=INITIAL,
                          help="hidden units; the effect of rank needs a few dozen")  # fmt: skip
    setting: str = control(
        "decision", choices=("decision", "linear", "rows"), when="launch", group=TASK,
        help="two-alternative decisions (synthetic); a linear student; Fashion-MNIST row by row (hard)",
    )  # fmt: skip
    tasks: int = control(
        1, min=1, max=4, when="launch", group=TASK,
        help="decision: how many rules are learned one after another; every other one swaps the two answers, so the "
        "third is the first again",
    )  # fmt: skip
    stop_loss: float = control(
        0.08, min=1e-6, max=10, scale="log", when="launch", label="stop at loss", group=TASK,
        help="a rule is learned when the running mean of its loss is down here; compare measures at equal loss alone",
    )  # fmt: skip
    batch_size: int = control(32, min=1, max=2048, unit="inputs", when="launch", group=TASK, help="a step")
    train: str = control(
        "all", choices=("all", "recurrent"), group=TASK, help="all matrices, or the one whose rank was chosen"
    )  # fmt: skip
    grad_clip: float = control(
        0.0, min=0, max=100, label="gradient clipping", group=TASK, help="largest norm of the gradient; 0: off"
    )
    probe: int = control(
        64, min=2, max=10_000, scale="log", unit="inputs", when="launch", group=LOOK,
        help="fixed inputs on which hidden states are compared",
    )  # fmt: skip
    kernel_probe: int = control(
        16, min=2, max=256, scale="log2", unit="inputs", when="launch", group=LOOK,
        help="the first so many of them, for the tangent kernel",
    )  # fmt: skip
    kernel_budget: float = control(
        1.0, min=0.01, max=64, scale="log", unit="GiB", when="launch", group=LOOK,
        help="a kernel that needs more memory is refused",
    )  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: SGD(lr=3e-3, momentum=0.9))

    def validate(self) -> None:
        """Refuse a rank above the width, a kernel's probe above the probe, and what a setting does not have."""
        if self.rank > self.hidden:
            raise InvalidValue(f"rank must lie between 1 and the {self.hidden} hidden units; got {self.rank}.")
        if self.setting != "linear" and self.kernel_probe > self.probe:
            raise InvalidValue(f"kernel_probe must not exceed probe; got {self.kernel_probe} and {self.probe} inputs.")
        if self.init == "aligned" and self.setting != "linear":
            raise InvalidValue("init='aligned' needs a teacher to be aligned with: take setting='linear'.")
        if self.tasks > 1 and self.setting != "decision":
            raise InvalidValue(f"Several rules are there for setting='decision' alone; got {self.tasks} rules.")
