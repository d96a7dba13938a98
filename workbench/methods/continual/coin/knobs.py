"""The knobs of continual/coin."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from workbench.cards import AdamW, Config, InvalidValue, Optimizer, control

AVERAGE, ADAPTER, STREAM = "Average", "Adapters", "Instructions"
TASKS = 6


@dataclass
class Coin(Config):
    """Knobs of toy instruction tuning with an average of the adapters' weights."""

    steps: int = control(
        1800, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run",
        help="training batches; the run ends earlier if the stream does",
    )  # fmt: skip
    mode: str = control(
        "dynamic", choices=("none", "fixed", "dynamic"), when="stage", stage="task", group=AVERAGE,
        help="which average the weights become at a task's end. It runs where an adapter is used again: without "
        "grouping from the second task on",
    )  # fmt: skip
    average_new: bool = control(
        False, when="stage", stage="task", label="average new adapters too", group=AVERAGE,
        help="let the average run from an adapter's first task on (ours; the authors train new adapters plainly)",
    )  # fmt: skip
    factor: float = control(
        0.05, min=0.001, max=10, scale="log", group=AVERAGE,
        help="numerator of the dynamic coefficient; 2 in the authors' code, whose tensors are far larger",
    )  # fmt: skip
    fallback: float = control(
        0.01, min=1e-4, max=0.5, scale="log", group=AVERAGE,
        help="coefficient of a tensor whose formula is not inside (0, 1)",
    )  # fmt: skip
    one_minus_decay: float = control(
        0.01, min=1e-4, max=0.5, scale="log", label="1 - decay", group=AVERAGE,
        help="coefficient of the fixed average; its window is 1/(1 - decay) steps",
    )  # fmt: skip
    adapters: str = control(
        "shared", choices=("shared", "grouped", "separate"), when="stage", stage="task", group=ADAPTER,
        help="one for all tasks; one for each group of similar instructions; one a task, the task being told",
    )  # fmt: skip
    threshold: float = control(
        0.9, min=0, max=1, step=0.01, when="stage", stage="task", label="similarity threshold", group=ADAPTER,
        help="grouped: a task joins the most similar group at or above it. The authors' .9 is for one wording a task, "
        "their .3 for several",
    )  # fmt: skip
    rank: int = control(8, min=1, max=64, scale="log2", when="launch", group=ADAPTER, help="of every adapter")
    lora_alpha: float = control(
        16.0, min=0.5, max=256, scale="log", label="lora alpha", group=ADAPTER,
        help="adapters are multiplied by lora alpha / rank",
    )  # fmt: skip
    questions: str = control(
        "questions", choices=("questions", "conflict"), when="launch", group=STREAM,
        help="six questions; or with a last one that contradicts the first at every class",
    )  # fmt: skip
    order_seed: int = control(0, min=0, max=10**6, when="launch", group=STREAM, help="order of the tasks; 0: as listed")
    instruction_scale: float = control(
        4.0, min=0.1, max=16, scale="log", when="launch", group=STREAM,
        help="length of an instruction's vector; small: questions are hard to tell apart",
    )  # fmt: skip
    steps_per_task: int = control(
        300, min=1, max=10**6, scale="log", unit="steps", when="stage", stage="task", group=STREAM,
        help="length of the next task. The run's own steps stay",
    )  # fmt: skip
    batch_size: int = control(64, min=1, max=1024, unit="images", when="stage", stage="task", group=STREAM,
                              help="images a step, each with a question")  # fmt: skip
    joint: bool = control(False, when="launch", group=STREAM, help="all questions from the start: an upper bound")
    train_images: int = control(
        20_000, min=100, max=60_000, scale="log", unit="images", when="launch", group=STREAM,
        help="the first so many of the training set",
    )  # fmt: skip
    backbone: str = control(
        "random", choices=("random", "reconstruction"), when="launch", group="Network",
        help="the frozen network: random as measured; or pre-trained before the first step by one epoch of "
        "reconstructing the training images, which needs nothing but half a minute",
    )  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: AdamW(lr=1e-3, weight_decay=0.0))
    probe_images: int = 200
    test_images: int = 1000

    def validate(self) -> None:
        """Refuse batches larger than the data and test sets that run out; warn of a stream that is cut short."""
        if self.batch_size > self.train_images:
            raise InvalidValue(
                f"batch_size must not exceed train_images; got {self.batch_size} and {self.train_images} images."
            )
        if self.probe_images + self.test_images > 10_000 or min(self.probe_images, self.test_images) < 1:
            raise InvalidValue(
                "probe_images and test_images must be at least 1 and together at most the 10,000 test images; got "
                f"{self.probe_images} and {self.test_images}."
            )
        needed = TASKS * self.steps_per_task
        if needed > self.steps:
            warnings.warn(
                f"The stream takes {needed} steps ({TASKS} tasks of {self.steps_per_task}) and the run ends after "
                f"{self.steps}: the last tasks are not reached.",
                stacklevel=2,
            )
