"""The notebook side: `open` an experiment's panel, compose your own from its widgets, list the `gallery`."""

from workbench.panels.claims import Claims, claims
from workbench.panels.gallery import Gallery, gallery
from workbench.panels.panel import Chart, Panel, open

__all__ = ["Chart", "Claims", "Gallery", "Panel", "claims", "gallery", "open"]
