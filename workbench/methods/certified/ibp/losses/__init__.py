"""Certified losses, one a file, found by walking this package: see `workbench.methods.certified.ibp.loss`."""
