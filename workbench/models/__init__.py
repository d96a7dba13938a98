"""Backbones and training parts that several families share."""
