"""Joint training: the fused loss alone, met by the modality that learns faster."""

from __future__ import annotations

from workbench.methods.multimodal._shared import strategy

Strategy = strategy.Strategy
