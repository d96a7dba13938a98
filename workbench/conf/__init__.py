"""Hydra's configuration tree: what every run has beside its method's own fields."""
