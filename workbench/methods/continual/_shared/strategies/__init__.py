"""Base strategies, one module each: how many replay draws a step takes (`draws`), and its `loss`.

A strategy of one's own is one file: a module with both and `MIXED`, here or in another package under the entry-point
group `workbench.methods.continual._shared.strategies`. It is then a choice of the control `strategy`.
"""
