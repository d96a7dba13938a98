"""Norm layers, one module each.

`build(bn, context)` makes the layer that takes a BatchNorm2d's place; `JOINT` says whether new and replayed images go
through the network together.

A layer of one's own is one file: a module with both, here or in another package under the entry-point group
`workbench.methods.continual.adab2n.norms`. It is then a choice of the control `norm`.
"""
