"""Accuracies after each task and what is read from them, under avalanche's names. NumPy alone.

R is (T, T) in per cent: R[t, k] is the test accuracy on task k after training on task t. avalanche's `Forgetting` is
the accuracy right after learning a task minus that now; mammoth's, and most papers', is the best so far minus that now.
Both are here: `experience_forgetting` and `worst_forgetting`. (The AdaB2N repository fills cells of the future with 0
before it takes the best, which changes nothing, and returns NaN for a single task, which is refused here.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue

Matrix = NDArray[np.float64]


def accuracies(logits: Matrix, labels: NDArray[np.int64], classes_per_task: int) -> tuple[float, float]:
    """Class-incremental and task-incremental accuracy in per cent, for logits (n, classes) and labels (n,).

    Task-incremental: the task is told, and logits of other tasks' classes do not compete.
    """
    tasks = np.arange(logits.shape[1]) // classes_per_task
    own = np.where(tasks[None] == (labels // classes_per_task)[:, None], logits, -np.inf)
    return tuple(100 * float(np.mean(part.argmax(1) == labels)) for part in (logits, own))  # type: ignore[return-value]


def stream_accuracy(R: Matrix, t: int) -> float:
    """Mean accuracy over tasks 0 … t after task t (avalanche: Top1_Acc_Stream over the experiences seen)."""
    return float(R[t, : t + 1].mean())


def experience_forgetting(R: Matrix, t: int) -> Matrix:
    """(t,) accuracy right after learning a task minus that after task t, points (avalanche: ExperienceForgetting)."""
    _refuse_first(t)
    return np.diag(R)[:t] - R[t, :t]


def worst_forgetting(R: Matrix, t: int) -> Matrix:
    """(t,) best accuracy on task k since it was learned minus that after task t, in points (mammoth's definition)."""
    _refuse_first(t)
    best = np.array([R[k : t + 1, k].max() for k in range(t)])
    return best - R[t, :t]


def backward_transfer(R: Matrix, t: int) -> float:
    """Mean over k < t of R[t, k] - R[k, k] (avalanche: StreamBWT): minus the mean of `experience_forgetting`."""
    return -float(experience_forgetting(R, t).mean())


def _refuse_first(t: int) -> None:
    if t < 1:
        raise InvalidValue("Forgetting needs at least two tasks; after the first there is nothing to forget.")


class Record:
    """The matrices R, class- and task-incremental, as training state: register it."""

    def __init__(self, tasks: int) -> None:
        if tasks < 2:
            raise InvalidValue(f"A stream needs at least 2 tasks; got {tasks}.")
        self.class_il, self.task_il = np.zeros((tasks, tasks)), np.zeros((tasks, tasks))

    def put(self, t: int, class_il: Matrix, task_il: Matrix) -> None:
        """Accuracies (T,) on every task after task t."""
        self.class_il[t], self.task_il[t] = class_il, task_il

    def state_dict(self) -> dict[str, Matrix]:
        """Both matrices."""
        return {"class_il": self.class_il, "task_il": self.task_il}

    def load_state_dict(self, state: Mapping[str, Matrix]) -> None:
        """Go on from there."""
        self.class_il[:], self.task_il[:] = state["class_il"], state["task_il"]
