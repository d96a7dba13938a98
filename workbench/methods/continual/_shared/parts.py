"""Where the family's interchangeable parts lie, norm layers and strategies; see `workbench.cards.parts`."""

NORMS = "workbench.methods.continual.adab2n.norms"
STRATEGIES = "workbench.methods.continual._shared.strategies"
