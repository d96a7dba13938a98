"""Certified training: networks whose answers are proved not to change anywhere in a box around an image."""
