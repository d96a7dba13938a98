"""Multimodal learning: one modality learns, the other sleeps."""
