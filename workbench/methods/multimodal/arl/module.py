"""The shell with ARL as its strategy, as a plain loop."""

from __future__ import annotations

from workbench.cards.protocols import SessionProtocol
from workbench.methods.multimodal._shared.lab import Lab, run
from workbench.methods.multimodal.arl.knobs import Arl


def train(config: Arl, session: SessionProtocol) -> None:
    """Train for the run's steps."""
    run(Lab(config, session))
