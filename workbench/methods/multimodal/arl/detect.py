"""The family's detectors, under this experiment's name."""

from __future__ import annotations

from workbench.methods.multimodal._shared.detect import HeadOverload, ModalityDominance, VarianceMismatch

__all__ = ["HeadOverload", "ModalityDominance", "VarianceMismatch"]
