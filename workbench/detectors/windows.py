"""Means over windows of a fixed number of values: what slow phenomena are read from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.detectors.per_signal import Track


class WindowTrack(Track):
    """Collects finite values into windows of `size`; window borders depend on the count of values alone.

    Attributes:
        first_mean, best_mean: mean of the first and of the lowest window so far (None before the first is full).
        best_step: last step of the lowest window.
        noise: standard error of a window's mean, averaged over the windows so far.
        windows: full windows so far.
        best_window: number of the lowest one.
    """

    FIELDS = (
        "size", "steps", "values", "filled", "windows", "first_mean", "best_mean", "best_step", "best_window", "noise",
        "run_start", "run_length",
    )  # fmt: skip

    def __init__(self, patience: int, size: int) -> None:
        super().__init__(patience)
        self.size = size
        self.steps = np.zeros(size, np.int64)
        self.values = np.zeros(size)
        self.filled = self.windows = 0
        self.first_mean: Any = None
        self.best_mean: Any = None
        self.best_step = self.best_window = 0
        self.noise = 0.0
        self.run_start = self.run_length = 0

    def fill(self, steps: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, int, float]]:
        """First step, last step and mean of each window that these values complete."""
        finite = np.isfinite(values)
        if not finite.all():
            steps, values = steps[finite], values[finite]
        at = 0
        while at < len(values):
            take = min(self.size - self.filled, len(values) - at)
            self.steps[self.filled : self.filled + take] = steps[at : at + take]
            self.values[self.filled : self.filled + take] = values[at : at + take]
            self.filled += take
            at += take
            if self.filled == self.size:
                self.filled = 0
                with np.errstate(over="ignore", invalid="ignore"):
                    mean = float(self.values.mean())
                    error = float(self.values.std()) / self.size**0.5
                if not np.isfinite(mean + error):  # too large for a mean in float64
                    continue
                self.windows += 1
                # A running mean with a floor on its weight, so that it follows a run that grows quieter.
                self.noise += (error - self.noise) / min(self.windows, 16)
                if self.first_mean is None:
                    self.first_mean = mean
                yield int(self.steps[0]), int(self.steps[-1]), mean

    def improve(self, last: int, mean: float, tolerance: float) -> bool:
        """Whether this window is the lowest, by more than the noise and a share `tolerance`; if so it is kept."""
        if self.best_mean is None or mean < self.best_mean - max(2 * self.noise, tolerance * abs(self.best_mean)):
            self.best_mean, self.best_step, self.best_window = mean, last, self.windows
            return True
        return False
