"""Strategies, one module each, with a class `Strategy`: a `workbench.methods.multimodal._shared.strategy.Strategy`.

A strategy of one's own is one file: here, or in another package under the entry-point group
`workbench.methods.multimodal._shared.strategies`. It is then a choice of the control `method`.
"""
